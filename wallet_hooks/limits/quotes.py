"""Quotes: stored answers of `calculate`, which `update` applies (docs/protocols/limits.md)."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete
from sqlalchemy.orm import Session

from wallet_hooks.errors import RefusedError
from wallet_hooks.limits.models import LimitQuote
from wallet_hooks.limits.rules import LimitChange
from wallet_hooks.limits.service import CurrentLimits

QUOTE_LIFETIME = timedelta(minutes=15)
_REQUIRED_FIELDS = {"effective_of", "time_frame", "amount"}
_CALCULATE_AGAIN = "uuid: no valid quote (unknown, expired, or the limits have changed); calculate again"
_MISSING = object()
_MAX_NAME_LENGTH = 64


class RequestedLimits(NamedTuple):
    """The changes that a player requests. `uuid` is the client's reference of the request, `changed_by` a label."""

    uuid: str
    changes: tuple[LimitChange, ...]
    reality_check: str | None
    changed_by: str

    def as_document(self) -> dict[str, Any]:
        """Return the request as the quote's row stores it. Its keys are in the database and must not change."""
        return {
            "wanted": [list(one) for one in self.changes],
            "reality_check": self.reality_check,
            "by": self.changed_by,
        }


def preview(current: CurrentLimits, changes: Sequence[LimitChange], *, changed_by: str) -> list[datetime | None]:
    """Return when each change would take effect; None means at once. Does not modify `current`."""
    limits = [copy(limit) for limit in current.limits]
    return [current.change(limits, one, changed_by=changed_by) for one in changes]


def stored_quote(session: Session, current: CurrentLimits, requested: RequestedLimits) -> dict[str, Any] | None:
    """Return the answer stored under the request's uuid; None if there is none, or if its quote is stale.

    Raises RefusedError (`uuid_conflict`) if the uuid was used for another request.
    """
    quote = session.get(LimitQuote, (current.player.customer.id, requested.uuid))
    if quote is None:
        return None
    if quote.requested != requested.as_document():
        raise RefusedError("uuid_conflict", "uuid: already used for another request")
    return quote.answer if quote.applied_at is not None or _is_current(quote, current) else None


def store(session: Session, current: CurrentLimits, requested: RequestedLimits, answer: Mapping[str, Any]) -> None:
    """Store a quote, valid for 15 minutes. The customer's expired quotes that were never applied are deleted."""
    own = LimitQuote.customer_id == current.player.customer.id
    too_old = LimitQuote.created_at <= current.now - QUOTE_LIFETIME
    session.execute(delete(LimitQuote).where(own, too_old, LimitQuote.applied_at.is_(None)))
    session.merge(
        LimitQuote(
            customer_id=current.player.customer.id,
            uuid=requested.uuid,
            requested=requested.as_document(),
            answer=dict(answer),
            changed_by=requested.changed_by,
            fingerprint=current.fingerprint(),
            created_at=current.now,
        )
    )


def apply(session: Session, current: CurrentLimits, uuid: str, body: Mapping[str, Any]) -> str | None:
    """Apply all changes of a quote. Idempotent. Return the reality check to set, None if there is none.

    `body` repeats the quote's answer. The caller holds the customer's lock. Raises RefusedError: `stale_quote` if the
    quote is unknown, expired, or based on limits that have changed since, or if `body` differs from its answer (the
    message names the field); `uuid_conflict` if it was already applied and `body` differs.
    """
    quote = session.get(LimitQuote, (current.player.customer.id, uuid))
    if quote is None:
        raise RefusedError("stale_quote", _CALCULATE_AGAIN)
    difference = _difference(body, quote.answer)
    if quote.applied_at is not None:
        if difference is not None:
            raise RefusedError("uuid_conflict", f"uuid: already used for another request: {difference}")
        return None
    if not _is_current(quote, current):
        raise RefusedError("stale_quote", _CALCULATE_AGAIN)
    if difference is not None:
        raise RefusedError("stale_quote", difference)
    quote.applied_at = current.now
    for one in _changes(quote):
        current.change(current.limits, one, changed_by=quote.changed_by)
    current.save()
    reality_check: str | None = quote.requested["reality_check"]
    return reality_check


def _changes(quote: LimitQuote) -> list[LimitChange]:
    return [LimitChange(*one) for one in quote.requested["wanted"]]


def _is_current(quote: LimitQuote, current: CurrentLimits) -> bool:
    """Return whether a quote can be applied: it has not expired, and the limits it is based on have not changed."""
    return (
        current.now - quote.created_at < QUOTE_LIFETIME
        and quote.fingerprint == current.fingerprint()
        and _takes_effect_as_quoted(quote, preview(current, _changes(quote), changed_by=quote.changed_by))
    )


def _takes_effect_as_quoted(quote: LimitQuote, effective: Sequence[datetime | None]) -> bool:
    """Return whether the changes take effect at the quoted times, or later by at most the validity of a quote."""
    quoted = [quote.answer[type_]["effective_of_at"] for type_, *_ in quote.requested["wanted"]]
    return all(
        (instant is None) == (text is None)
        and (instant is None or instant - datetime.fromisoformat(text) <= QUOTE_LIFETIME)
        for instant, text in zip(effective, quoted, strict=True)
    )


def _difference(body: Mapping[str, Any], quoted: Mapping[str, Any]) -> str | None:
    """Describe the first field in which a body differs from the quote's answer; None if there is no difference.

    The vendor's fields are required, our additions may be omitted, and `amount_left` is not compared.
    """
    for name in (*quoted, *(name for name in body if name not in quoted)):
        if name not in quoted:
            return f"{_shown(name)}: not in the calculated quote"
        found = _difference_in(name, body.get(name, _MISSING), quoted[name])
        if found is not None:
            return found
    return None


def _difference_in(where: str, given: Any, expected: Any) -> str | None:
    if not isinstance(expected, dict) or not isinstance(given, dict):
        is_same = _without_left(given) == _without_left(expected)
        return None if is_same else f"{where}: {json.dumps(expected)} was calculated"
    for name in given:
        if name not in expected:
            return f"{where}.{_shown(name)}: not in the calculated quote"
    for name, value in expected.items():
        if name == "amount_left" or (name not in given and name not in _REQUIRED_FIELDS):
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
    """Return a field's name if it is short and an identifier: an error message must not repeat arbitrary input."""
    return name if name.isidentifier() and len(name) <= _MAX_NAME_LENGTH else "a field"
