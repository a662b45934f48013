"""Quotes: what a change of limits would come to, told first and made after (seeds/003)."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.models import LimitQuote
from wallet_hooks.limits.rules import Wanted
from wallet_hooks.limits.service import Player, Standing

QUOTE_LIFE = timedelta(minutes=15)


class Asked(NamedTuple):
    """The changes that a player asks for under a reference of its own, and who makes them."""

    uuid: str
    wanted: tuple[Wanted, ...]
    reality_check: str | None
    by: str

    def facts(self) -> dict[str, Any]:
        return {"wanted": [list(one) for one in self.wanted], "reality_check": self.reality_check, "by": self.by}


def preview(standing: Standing, wanted: Sequence[Wanted], *, by: str) -> list[datetime | None]:
    """When each change would take effect, None for at once. Nothing is changed."""
    limits = [copy(limit) for limit in standing.limits]
    return [standing.change(limits, one, by=by) for one in wanted]


def known_answer(session: Session, player: Player, asked: Asked) -> dict[str, Any] | None:
    """What this reference was told before. Raises RefusedError where it was used to ask for something else."""
    quote = session.get(LimitQuote, (player.customer.id, asked.uuid))
    if quote is None:
        return None
    if quote.asked != asked.facts():
        raise RefusedError("uuid_conflict", "uuid was used for another request")
    return quote.answer


def store(session: Session, standing: Standing, asked: Asked, answer: Mapping[str, Any]) -> None:
    """Keep a quote: for a quarter of an hour it can be applied."""
    session.add(
        LimitQuote(
            customer_id=standing.player.customer.id,
            uuid=asked.uuid,
            asked=asked.facts(),
            answer=dict(answer),
            changed_by=asked.by,
            standing=standing.fingerprint(),
            created_at=standing.now,
        )
    )


def apply(session: Session, standing: Standing, uuid: str, body: Mapping[str, Any]) -> str | None:
    """Make the changes of a quote, all of them; the same again changes nothing. Returns the reality check to set.

    `body` says what the quote told. The caller holds the customer's lock. Raises RefusedError: `stale_quote` where the
    quote is unknown, too old, not what was told, or reckoned from limits that have changed since; `uuid_conflict` where
    it was applied already with another body.
    """
    quote = session.get(LimitQuote, (standing.player.customer.id, uuid))
    if quote is not None and quote.applied is not None:
        if _without_left(quote.applied) != _without_left(body):
            raise RefusedError("uuid_conflict", "uuid was used for another request")
        return None
    if (
        quote is None
        or standing.now - quote.created_at >= QUOTE_LIFE
        or quote.standing != standing.fingerprint()
        or not _says(body, quote.answer)
    ):
        raise RefusedError("stale_quote", "calculate the limits again")
    quote.applied = dict(body)
    for one in quote.asked["wanted"]:
        standing.change(standing.limits, Wanted(*one), by=quote.changed_by)
    standing.save()
    reality_check: str | None = quote.asked["reality_check"]
    return reality_check


def _says(body: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a body repeats what was told, field for field."""
    given, expected = _without_left(body), _without_left(told)
    return set(given) == set(expected) and all(_matches(given[key], expected[key]) for key in expected)


def _matches(given: Any, expected: Any) -> bool:
    """The twins of the source's fields, which end in _at, may be left out; what is there must be what was told."""
    if not isinstance(expected, dict) or not isinstance(given, dict):
        return bool(given == expected)
    needed = {name for name in expected if not name.endswith("_at")}
    return needed <= set(given) and all(expected.get(name) == value for name, value in given.items())


def _without_left(body: Mapping[str, Any]) -> dict[str, Any]:
    """A body without what changes while nobody changes a limit."""
    return {
        key: {name: one for name, one in value.items() if name != "amount_left"} if isinstance(value, dict) else value
        for key, value in body.items()
    }
