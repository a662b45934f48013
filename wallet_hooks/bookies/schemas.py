"""The shapes of the bookmaker accounts' calls (seeds/000), in and out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields, validate

from wallet_hooks.bookies.models import BookieAccount
from wallet_hooks.bookies.tag_rules import TagRule
from wallet_hooks.customers.schemas import pair
from wallet_hooks.web.shapes import BaseSchema, BoundedList, Text, WholeNumber

_MOST = 100


class Tags(BoundedList):
    """A list of tags."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Text(min_length=1, max_length=64), most=_MOST, **kwargs)


class TagRuleShape(BaseSchema):
    """`{"any":[…],"all":[…],"none":[…],"action":"include"}`; the lists may be left out."""

    any = Tags()
    all = Tags()
    none = Tags()
    action = Text(required=True, validate=validate.OneOf(["include", "exclude"]))


class TagRulesField(fields.Field[list[TagRule]]):
    """An ordered list of tag rules."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> list[TagRule]:
        return read_tag_rules(value)


class PreviewShape(BaseSchema):
    tag_rules = TagRulesField(required=True)
    env_tags = Tags()


class KickShape(BaseSchema):
    account_id = WholeNumber(required=True)


_rules = BoundedList(fields.Nested(TagRuleShape(unknown="raise")), most=_MOST)


def read_tag_rules(document: Any) -> list[TagRule]:
    """Raises marshmallow's ValidationError."""
    if type(document) is not list:
        raise ValidationError("A list of tag rules is expected.")
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
    """An account as it goes out; its username and balance only to those who may view accounts."""
    is_known = is_viewed and account.balance is not None
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
        "balance": pair(account.balance or 0, account.currency) if is_known else None,
        "balance_at": account.balance_at.isoformat() if is_known and account.balance_at else None,
    }
