"""Quotes: what a change of limits would come to, told first and made after (seeds/003)."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete
from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.models import LimitQuote
from wallet_hooks.limits.rules import Wanted
from wallet_hooks.limits.service import Player, Standing

QUOTE_LIFE = timedelta(minutes=15)
_SOURCES_FIELDS = {"effective_of", "time_frame", "amount"}
_AGAIN = "calculate the limits again"


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
    """Keep a quote, which can be applied for a quarter of an hour; older ones that never were are forgotten."""
    own = LimitQuote.customer_id == standing.player.customer.id
    too_old = LimitQuote.created_at <= standing.now - QUOTE_LIFE
    session.execute(delete(LimitQuote).where(own, too_old, LimitQuote.applied_at.is_(None)))
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
    if quote is None:
        raise RefusedError("stale_quote", _AGAIN)
    if quote.applied_at is not None:
        if not _says(body, quote.answer):
            raise RefusedError("uuid_conflict", "uuid was used for another request")
        return None
    wanted = [Wanted(*one) for one in quote.asked["wanted"]]
    if (
        standing.now - quote.created_at >= QUOTE_LIFE
        or quote.standing != standing.fingerprint()
        or not _says(body, quote.answer)
        or not _is_as_told(quote, preview(standing, wanted, by=quote.changed_by))
    ):
        raise RefusedError("stale_quote", _AGAIN)
    quote.applied_at = standing.now
    for one in wanted:
        standing.change(standing.limits, one, by=quote.changed_by)
    standing.save()
    reality_check: str | None = quote.asked["reality_check"]
    return reality_check


def _is_as_told(quote: LimitQuote, effective: Sequence[datetime | None]) -> bool:
    """Whether the changes take effect when they were told to, give or take the time that the player thought it over."""
    told = [quote.answer[type_]["effective_of_at"] for type_, *_ in quote.asked["wanted"]]
    return all(
        (instant is None) == (text is None)
        and (instant is None or instant - datetime.fromisoformat(text) <= QUOTE_LIFE)
        for instant, text in zip(effective, told, strict=True)
    )


def _says(body: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Whether a body repeats what was told, field for field."""
    return set(body) == set(told) and all(_matches(body[key], told[key]) for key in told)


def _matches(given: Any, expected: Any) -> bool:
    """The source's fields must be there; what is there must be what was told, but for what is left by now."""
    if not isinstance(expected, dict) or not isinstance(given, dict):
        return bool(given == expected)
    facts = {name: value for name, value in given.items() if name != "amount_left"}
    needed = _SOURCES_FIELDS & set(expected)
    return needed <= set(facts) <= set(expected) and all(expected[name] == value for name, value in facts.items())
