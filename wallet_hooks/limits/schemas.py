"""Schemas of the limits gateway (docs/protocols/limits.md): request bodies and answers.

Instants have the vendor's formats, in UTC, and each has an ISO 8601 field beside it (`…_at`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate

from wallet_hooks import money
from wallet_hooks.identity.policy import AMOUNT_TYPES, FRAMES, Policy
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.quotes import RequestedLimits
from wallet_hooks.limits.rules import BRAND, NO_LIMIT, PENDING, PLAYER, SESSION, Limit, LimitChange, setter_of
from wallet_hooks.limits.service import REALITY_CHECKS, CurrentLimits
from wallet_hooks.limits.usage import Usage
from wallet_hooks.text_checks import is_whole_number
from wallet_hooks.web.fields import Amount, BaseSchema, Identifier, Text
from wallet_hooks.web.strict_json import Number

UNDEFINED = "undefined"
_ZONE = "UTC"
_MINUTES = re.compile(r"(\d{1,4})_(min|minute|minutes|hour|hours)", re.ASCII)
_MAX_MINUTES = 24 * 60
_MAX_ROWS = 100


class NewAmount(Amount):
    """A decimal amount, or `no_limit`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return NO_LIMIT if value == NO_LIMIT else super()._deserialize(value, attr, data, **kwargs)


class AmountChangeSchema(BaseSchema):
    time_frame = Text(required=True, validate=validate.OneOf([*FRAMES, NO_LIMIT]))
    new_amount = NewAmount(required=True)


class TimeChangeSchema(BaseSchema):
    time_frame = Text(required=True, max_length=20, metadata={"description": "`50_minutes`, `2_hours` or `no_limit`."})


class CalculateSchema(BaseSchema):
    """Body of calculate."""

    uuid = Identifier(required=True, metadata={"description": "The client's reference of the request."})
    changed_by = Text(min_length=1, max_length=100)
    bet = fields.Nested(AmountChangeSchema(unknown="raise"))
    loss = fields.Nested(AmountChangeSchema(unknown="raise"))
    deposit = fields.Nested(AmountChangeSchema(unknown="raise"))
    time_limit = fields.Nested(TimeChangeSchema(unknown="raise"))
    reality_check = Text(validate=validate.OneOf(REALITY_CHECKS))


class UpdateSchema(BaseSchema):
    """Body of update: the reference, and the answer of calculate."""

    uuid = Identifier(required=True)


_calculate = CalculateSchema(unknown="raise")
_update = UpdateSchema()


def read_calculate(document: Any, *, currency: str) -> RequestedLimits:
    """Read the body of calculate. Raises ValidationError and MoneyError."""
    body = _calculate.load(document)
    changes = [_amount_change(type_, body[type_], currency) for type_ in AMOUNT_TYPES if type_ in body]
    if "time_limit" in body:
        changes.append(_time_change(body["time_limit"]["time_frame"]))
    if not changes and "reality_check" not in body:
        raise ValidationError("At least one of bet, loss, deposit, time_limit and reality_check is expected.")
    return RequestedLimits(body["uuid"], tuple(changes), body.get("reality_check"), body.get("changed_by", PLAYER))


def _amount_change(type_: str, requested: Mapping[str, str], currency: str) -> LimitChange:
    frame = requested["time_frame"]
    if requested["new_amount"] == NO_LIMIT:
        return LimitChange(type_, frame, None)
    if frame == NO_LIMIT:
        raise ValidationError({type_: ["time_frame: no_limit is accepted only with new_amount no_limit."]})
    return LimitChange(type_, frame, money.parse_amount(requested["new_amount"], currency))


def _time_change(text: str) -> LimitChange:
    if text == NO_LIMIT:
        return LimitChange("time_limit", SESSION, None)
    match = _MINUTES.fullmatch(text)
    minutes = int(match[1]) * (60 if match[2].startswith("hour") else 1) if match else 0
    if not 0 < minutes <= _MAX_MINUTES:
        raise ValidationError(
            {
                "time_limit": [
                    "time_frame: a duration such as 50_minutes or 2_hours, up to 24 hours, or no_limit is expected."
                ]
            }
        )
    return LimitChange("time_limit", SESSION, minutes)


def read_update(document: Any) -> tuple[str, dict[str, Any]]:
    """Return the uuid of an update, and the fields that it repeats of the quote. Raises ValidationError."""
    body = _update.load(document)
    return body["uuid"], {name: value for name, value in document.items() if name != "uuid"}


def read_deleted(body: dict[str, Any]) -> list[int]:
    """Read the row ids of a deletion. Raises ValidationError."""
    if set(body) != {"row_id"}:
        raise ValidationError({"row_id": ["The only field, a list of row ids, is expected."]})
    return read_row_ids(body["row_id"])


def read_row_ids(values: Any) -> list[int]:
    """Read row ids: one or a list; each a string, a number, or several joined by commas. Raises ValidationError."""
    values = [values] if type(values) is str else values
    if type(values) is not list or not all(type(value) in (str, Number) for value in values):
        raise ValidationError(f"A list of 1 to {_MAX_ROWS} row ids is expected.")
    ids = [one.strip() for value in values for one in value.split(",")]
    if not ids or len(ids) > _MAX_ROWS or not all(map(is_whole_number, ids)):
        raise ValidationError(f"A list of 1 to {_MAX_ROWS} row ids is expected.")
    return list(dict.fromkeys(map(int, ids)))


def calculated_data(
    current: CurrentLimits, requested: RequestedLimits, effective: Sequence[datetime | None], usage: Usage
) -> dict[str, Any]:
    """Return the answer of calculate. `all` lists every limit that will be in force, if there are others too."""
    answer: dict[str, Any] = {}
    for change, instant in zip(requested.changes, effective, strict=True):
        answer[change.type] = {
            "effective_of": "now" if instant is None else _round_up_to_minute(instant),
            "effective_of_at": instant.isoformat() if instant else None,
            **({"time_zone": _ZONE} if instant else {}),
            "time_frame": _frame(change.type, change.frame, change.amount),
        }
        if change.type != "time_limit":
            answer[change.type] |= _new_amounts(current, change, usage)
    if requested.reality_check is not None:
        answer["reality_check"] = requested.reality_check
    return answer


def _new_amounts(current: CurrentLimits, change: LimitChange, usage: Usage) -> dict[str, Any]:
    rows = [
        {"time_frame": row["time_frame"], "amount": row["amount"], "amount_left": row["amount_left"]}
        | {"set_by": limit.set_by}
        for limit in current.limits_after(change)
        for _, row in [_row(current, limit, usage)]
    ]
    own = next((row for row in rows if (row["set_by"], row["time_frame"]) == (PLAYER, change.frame)), None)
    amounts = {"amount": NO_LIMIT, "amount_left": NO_LIMIT}
    if own is not None:
        amounts = {"amount": own["amount"], "amount_left": own["amount_left"]}
    return amounts if rows == ([] if own is None else [own]) else {**amounts, "all": rows}


def limits_data(
    current: CurrentLimits, usage: Usage, *, reality_check: str | None, play_session: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the answer of GET: active and pending limits, reality check, play session."""
    pending = {
        type_: _pending_data(current, limits)
        for type_ in (*AMOUNT_TYPES, "time_limit")
        if (limits := [one for one in current.limits if one.type == type_ and one.status == PENDING])
    }
    active: dict[str, Any] = {type_: _active_data(current, type_, usage) for type_ in AMOUNT_TYPES}
    active["time_limit"] = _time_data(current)
    for type_ in pending:
        active[type_]["can_activate"] = False  # it is in force; the pending one may be activated
    return {
        "active": active,
        "pending": pending,
        "reality_check": reality_check or UNDEFINED,
        "session": dict(play_session),
    }


def _active_data(current: CurrentLimits, type_: str, usage: Usage) -> dict[str, Any]:
    """Return the binding limit of a type (the one with the least amount left), and under `all` every one in force."""
    rows = [(_row(current, limit, usage), limit) for limit in current.in_force() if limit.type == type_]
    if not rows:
        undefined = dict.fromkeys(("time_frame", "amount", "amount_left", "end_time"), UNDEFINED)
        return {**undefined, "changed_by": None, "all": []}
    rows.sort(key=lambda pair: pair[0][0])
    return {**rows[0][0][1], "all": [row | {"set_by": limit.set_by} for (_, row), limit in rows]}


def _row(current: CurrentLimits, limit: Limit, usage: Usage) -> tuple[int, dict[str, Any]]:
    """Return what is left of a limit (minor units, negative if exceeded), and the limit as JSON data."""
    currency = current.player.customer.currency
    bound, left = current.left_of(limit, usage)
    changed = {"last_changed": UNDEFINED} if limit.set_by == BRAND else _instants(last_changed=limit.created_at)
    return left, {
        "time_frame": limit.frame,
        "amount": format_plain(bound.amount, currency),
        "amount_left": format_plain(max(0, left), currency),
        **_instants(start_time=bound.window.start, end_time=bound.window.end),
        **changed,
        **_changed_by(limit),
    }


def _changed_by(limit: Limit) -> dict[str, str]:
    changed_by, label = setter_of(limit.set_by, limit.changed_by)
    return {"changed_by": changed_by} | ({} if label is None else {"label": label})


def _pending_data(current: CurrentLimits, limits: Sequence[Limit]) -> dict[str, Any]:
    """Return the newest pending limit of a type; if there are several, also `all` of them."""
    return _first_with_all([_pending_row(current, limit) for limit in reversed(limits)])


def _pending_row(current: CurrentLimits, limit: Limit) -> dict[str, Any]:
    row = {
        "time_frame": _frame(limit.type, limit.frame, limit.amount),
        **_instants(start_time=limit.effective_at, last_changed=limit.created_at),
        "end_time": UNDEFINED,
        **_changed_by(limit),
        "row_id": str(limit.id),
        "can_activate": limit.needs_confirmation
        and current.now >= limit.effective_at
        and not current.is_above_cap(limit),
    }
    if limit.expires_at is not None:
        row |= _instants(end_time=limit.expires_at)
    if limit.type != "time_limit":
        amount = limit.amount
        row["amount"] = NO_LIMIT if amount is None else format_plain(amount, current.player.customer.currency)
    return row


def _round_up_to_minute(instant: datetime) -> str:
    """Format an instant, rounded up to the minute: at the minute shown, the change is already in effect."""
    return f"{instant + timedelta(seconds=59, microseconds=999_999):%Y-%m-%d %H:%M}"


def _time_data(current: CurrentLimits) -> dict[str, Any]:
    """Return the tightest time limit in force; if there are several, also `all` of them."""
    customer = current.player.customer
    limits = [limit for limit in current.in_force() if limit.type == "time_limit"]
    limits.sort(key=lambda limit: limit.amount or 0)
    row = {"brand_id": customer.brand_id, "player_id": customer.id}
    if not limits:
        undefined = {"time_frame": UNDEFINED, "status": UNDEFINED, "changed_by": None, "effective_of": UNDEFINED}
        return {**row, **undefined}
    rows = [_time_row(limit) | {"set_by": limit.set_by} for limit in limits]
    return {**row, **_time_row(limits[0])} | ({"all": rows} if len(rows) > 1 else {})


def _time_row(limit: Limit) -> dict[str, Any]:
    since = limit.swapped_at or limit.effective_at
    return {
        "time_frame": f"{limit.amount}_minutes",
        "status": "active",
        **_changed_by(limit),
        "effective_of": f"{since:%Y-%m-%d %H:%M:%S}",
        "effective_of_at": since.isoformat(),
        "time_zone": _ZONE,
    }


def swapped_data(rows: Sequence[PlayerLimit], currency: str) -> dict[str, Any]:
    """Return the answer of swap: the first row of each type; if there are several, also `all` of them."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_type.setdefault(row.type, []).append(_swapped_row(row, currency))
    return {type_: _first_with_all(found) for type_, found in by_type.items()}


def _swapped_row(row: PlayerLimit, currency: str) -> dict[str, Any]:
    data = {"effective_of": "now", "time_frame": _frame(row.type, row.frame, row.amount)}
    if row.type != "time_limit":
        data["amount"] = NO_LIMIT if row.amount is None else format_plain(row.amount, currency)
    return data


def _first_with_all(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return rows[0] if len(rows) == 1 else {**rows[0], "all": rows}


def metadata(policy: Policy, currency: str) -> dict[str, Any]:
    """Return the answer of the metadata call: defaults, caps, frames and reality-check options."""
    answer: dict[str, Any] = {}
    for type_ in AMOUNT_TYPES:
        default = policy.applied_defaults(currency).get(type_) or policy.defaults.get((type_, currency))
        amount = NO_LIMIT if default is None else format_plain(default[1], currency)
        answer[type_] = {"amount": amount, "period": NO_LIMIT if default is None else default[0]}
        if (cap := policy.caps.get((type_, currency))) is not None:
            answer[type_]["maximum"] = format_plain(cap, currency)
    answer["limit_periods"] = [*FRAMES, NO_LIMIT]
    answer["reality_check"] = {"period": UNDEFINED, "options": list(REALITY_CHECKS)}
    return answer


def format_plain(minor: int, currency: str) -> str:
    """Format minor units as the vendor does: `250`, `250.50`."""
    text = money.format_amount(minor, currency)
    whole, _, fraction = text.partition(".")
    return text if fraction.strip("0") else whole


def _frame(type_: str, frame: str, amount: int | None) -> str:
    if type_ != "time_limit":
        return frame
    return NO_LIMIT if amount is None else f"{amount}_minutes"


def _instants(**instants: datetime) -> dict[str, str]:
    """Format instants as the vendor does, each with an ISO 8601 field. `time_zone` is added: the format has no zone."""
    formatted = {"time_zone": _ZONE}
    for name, instant in instants.items():
        formatted[name] = f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 100_000}"
        formatted[f"{name}_at"] = instant.isoformat()
    return formatted
