"""Request schemas and response data of the bookmaker account calls (docs/protocols/customers.md)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from wallet_hooks.bookies.models import BookieAccount
from wallet_hooks.bookies.tag_rules import TagRule
from wallet_hooks.customers.schemas import pair
from wallet_hooks.web.fields import BaseSchema, BoundedList, Text, WholeNumber

_MAX_ITEMS = 100


class BookieCode(Text):
    """A bookmaker's code: 1 to 64 lower-case letters, digits, `-` and `_`."""

    def __init__(self, **kwargs: Any) -> None:
        accepted = validate.Regexp(r"[a-z0-9_-]+\Z", error="Lower-case letters, digits, - and _ are expected.")
        super().__init__(max_length=64, validate=accepted, **kwargs)


class Tag(Text):
    """A tag: 1 to 64 characters."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_length=1, max_length=64, **kwargs)


class Tags(BoundedList):
    """A list of tags."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Tag(), most=_MAX_ITEMS, **kwargs)


class TagRuleSchema(BaseSchema):
    """A rule `{"any":[…],"all":[…],"none":[…],"action":"include"}`; the lists are optional."""

    any = Tags()
    all = Tags()
    none = Tags()
    action = Text(required=True, validate=validate.OneOf(["include", "exclude"]))


class TagRulesField(fields.Field[list[TagRule]]):
    """An ordered list of tag rules, as `TagRule`."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[TagRule]:
        return read_tag_rules(value)


class PreviewSchema(BaseSchema):
    tag_rules = TagRulesField(required=True)
    env_tags = Tags()


class KickBalanceSchema(BaseSchema):
    account_id = WholeNumber(required=True)


_rules = BoundedList(fields.Nested(TagRuleSchema(unknown="raise")), most=_MAX_ITEMS)


def read_tag_rules(document: Any) -> list[TagRule]:
    """Return the tag rules of a JSON document. Raises marshmallow's ValidationError."""
    if type(document) is not list:
        raise ValidationError("Not a list of tag rules.")
    loaded: Any = _rules.deserialize(document)
    return [
        TagRule(
            frozenset(rule.get("any", ())),
            frozenset(rule.get("all", ())),
            frozenset(rule.get("none", ())),
            include=rule["action"] == "include",
        )
        for rule in loaded
    ]


def account_data(account: BookieAccount, *, is_viewed: bool) -> dict[str, Any]:
    """Return an account as response data. Without `is_viewed`, username and balance are None."""
    has_balance = is_viewed and account.balance is not None
    return {
        "id": account.id,
        "bookie": account.bookie,
        "username": account.username if is_viewed else None,
        "enabled": account.enabled,
        "group_id": account.group_id,
        "agent": account.agent,
        "stake_share": Decimal(account.stake_share),
        "tags": account.tags,
        "ccy_code": account.currency,
        "balance": pair(account.balance or 0, account.currency) if has_balance else None,
        "balance_at": account.balance_at.isoformat() if has_balance and account.balance_at else None,
    }
