"""Quotes: what a change of limits would come to, told first and made after (seeds/003)."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete
from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.models import LimitQuote
from wallet_hooks.limits.rules import WantedLimit
from wallet_hooks.limits.service import CurrentLimits

QUOTE_LIFE = timedelta(minutes=15)
_SOURCES_FIELDS = {"effective_of", "time_frame", "amount"}
_AGAIN = "calculate the limits again"
_MISSING = object()
_NAME_LENGTH = 64


class RequestedLimits(NamedTuple):
    """The changes that a player asks for under a reference of its own, and who makes them."""

    uuid: str
    wanted: tuple[WantedLimit, ...]
    reality_check: str | None
    by: str

    def facts(self) -> dict[str, Any]:
        return {"wanted": [list(one) for one in self.wanted], "reality_check": self.reality_check, "by": self.by}


def preview(standing: CurrentLimits, wanted: Sequence[WantedLimit], *, by: str) -> list[datetime | None]:
    """When each change would take effect, None for at once. Nothing is changed."""
    limits = [copy(limit) for limit in standing.limits]
    return [standing.change(limits, one, by=by) for one in wanted]


def known_answer(session: Session, standing: CurrentLimits, asked: RequestedLimits) -> dict[str, Any] | None:
    """The answer stored for this reference, None where there is none or where it is stale.

    Raises RefusedError where the reference was used to ask for something else.
    """
    quote = session.get(LimitQuote, (standing.player.customer.id, asked.uuid))
    if quote is None:
        return None
    if quote.asked != asked.facts():
        raise RefusedError("uuid_conflict", "uuid: it was used for another request")
    return quote.answer if quote.applied_at is not None or _is_current(quote, standing) else None


def store(session: Session, standing: CurrentLimits, asked: RequestedLimits, answer: Mapping[str, Any]) -> None:
    """Keep a quote, which can be applied for a quarter of an hour; older ones that never were are forgotten."""
    own = LimitQuote.customer_id == standing.player.customer.id
    too_old = LimitQuote.created_at <= standing.now - QUOTE_LIFE
    session.execute(delete(LimitQuote).where(own, too_old, LimitQuote.applied_at.is_(None)))
    session.merge(
        LimitQuote(
            customer_id=standing.player.customer.id,
            uuid=asked.uuid,
            asked=asked.facts(),
            answer=dict(answer),
            changed_by=asked.by,
            fingerprint=standing.fingerprint(),
            created_at=standing.now,
        )
    )


def apply(session: Session, standing: CurrentLimits, uuid: str, body: Mapping[str, Any]) -> str | None:
    """Make the changes of a quote, all of them; the same again changes nothing. Returns the reality check to set.

    `body` says what the quote told. The caller holds the customer's lock. Raises RefusedError: `stale_quote` where the
    quote is unknown, too old, different from its answer (naming the field), or calculated from limits that have changed
    since; `uuid_conflict` where it was applied already with another body.
    """
    quote = session.get(LimitQuote, (standing.player.customer.id, uuid))
    if quote is None:
        raise RefusedError("stale_quote", _AGAIN)
    difference = _difference(body, quote.answer)
    if quote.applied_at is not None:
        if difference is not None:
            raise RefusedError("uuid_conflict", f"uuid: it was used for another request: {difference}")
        return None
    if not _is_current(quote, standing):
        raise RefusedError("stale_quote", _AGAIN)
    if difference is not None:
        raise RefusedError("stale_quote", difference)
    quote.applied_at = standing.now
    for one in _wanted(quote):
        standing.change(standing.limits, one, by=quote.changed_by)
    standing.save()
    reality_check: str | None = quote.asked["reality_check"]
    return reality_check


def _wanted(quote: LimitQuote) -> list[WantedLimit]:
    return [WantedLimit(*one) for one in quote.asked["wanted"]]


def _is_current(quote: LimitQuote, standing: CurrentLimits) -> bool:
    """Whether a quote can be applied: it is not too old, and what it was reckoned from has not changed."""
    return (
        standing.now - quote.created_at < QUOTE_LIFE
        and quote.fingerprint == standing.fingerprint()
        and _is_as_told(quote, preview(standing, _wanted(quote), by=quote.changed_by))
    )


def _is_as_told(quote: LimitQuote, effective: Sequence[datetime | None]) -> bool:
    """Whether the changes take effect when they were told to, give or take the time that the player thought it over."""
    told = [quote.answer[type_]["effective_of_at"] for type_, *_ in quote.asked["wanted"]]
    return all(
        (instant is None) == (text is None)
        and (instant is None or instant - datetime.fromisoformat(text) <= QUOTE_LIFE)
        for instant, text in zip(effective, told, strict=True)
    )


def _difference(body: Mapping[str, Any], told: Mapping[str, Any]) -> str | None:
    """The first field in which a body differs from the calculated answer, and its calculated value; None for none.

    The source's fields are required, others may be left out, and `amount_left` is not compared.
    """
    for name in (*told, *(name for name in body if name not in told)):
        if name not in told:
            return f"{_shown(name)}: nothing was calculated for it"
        found = _difference_in(name, body.get(name, _MISSING), told[name])
        if found is not None:
            return found
    return None


def _difference_in(where: str, given: Any, expected: Any) -> str | None:
    if not isinstance(expected, dict) or not isinstance(given, dict):
        is_same = _without_left(given) == _without_left(expected)
        return None if is_same else f"{where}: {json.dumps(expected)} was calculated"
    for name in given:
        if name not in expected:
            return f"{where}.{_shown(name)}: nothing was calculated for it"
    for name, value in expected.items():
        if name == "amount_left" or (name not in given and name not in _SOURCES_FIELDS):
            continue
        found = _difference_in(f"{where}.{name}", given.get(name, _MISSING), value)
        if found is not None:
            return found
    return None


def _without_left(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_left(one) for name, one in value.items() if name != "amount_left"}
    return [_without_left(one) for one in value] if isinstance(value, list) else value


def _shown(name: str) -> str:
    """The name of a field, unless it is too long or too odd for an error message."""
    return name if name.isidentifier() and len(name) <= _NAME_LENGTH else "a field"
