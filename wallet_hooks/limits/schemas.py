"""The shapes of the limits gateway (seeds/003), in and out.

Instants keep the source's formats, in UTC, with ISO 8601 twins beside them (`…_at`).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.policy import AMOUNT_TYPES, FRAMES, Policy
from wallet_hooks.limits.models import PlayerLimit
from wallet_hooks.limits.quotes import RequestedLimits
from wallet_hooks.limits.rules import BRAND, NO_LIMIT, PENDING, PLAYER, SESSION, Limit, WantedLimit
from wallet_hooks.limits.service import REALITY_CHECKS, CurrentLimits
from wallet_hooks.limits.usage import Usage
from wallet_hooks.limits.windows import window_at
from wallet_hooks.web.shapes import Amount, BaseSchema, Identifier, Text
from wallet_hooks.web.strict_json import Number

UNDEFINED = "undefined"
_ZONE = "UTC"
_MINUTES = re.compile(r"(\d{1,4})_(min|minute|minutes|hour|hours)", re.ASCII)
_MAX_MINUTES = 24 * 60
_MOST_ROWS = 100


class NewAmount(Amount):
    """A decimal amount, or `no_limit`."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        return NO_LIMIT if value == NO_LIMIT else super()._deserialize(value, attr, data, **kwargs)


class AmountChangeShape(BaseSchema):
    time_frame = Text(required=True, validate=validate.OneOf([*FRAMES, NO_LIMIT]))
    new_amount = NewAmount(required=True)


class TimeChangeShape(BaseSchema):
    time_frame = Text(required=True, max_length=20, metadata={"description": "`50_minutes`, `2_hours` or `no_limit`."})


class CalculateShape(BaseSchema):
    """Body of calculate."""

    uuid = Identifier(required=True, metadata={"description": "The player's own reference of the request."})
    changed_by = Text(min_length=1, max_length=100)
    bet = fields.Nested(AmountChangeShape(unknown="raise"))
    loss = fields.Nested(AmountChangeShape(unknown="raise"))
    deposit = fields.Nested(AmountChangeShape(unknown="raise"))
    time_limit = fields.Nested(TimeChangeShape(unknown="raise"))
    reality_check = Text(validate=validate.OneOf(REALITY_CHECKS))


class UpdateShape(BaseSchema):
    """Body of update: the reference, and what calculate told."""

    uuid = Identifier(required=True)


_calculate = CalculateShape(unknown="raise")
_update = UpdateShape()


def read_calculate(document: Any, *, currency: str, policy: Policy) -> RequestedLimits:
    """Raises marshmallow's ValidationError, MoneyError, and RefusedError above the operator's cap."""
    given = _calculate.load(document)
    wanted = [_wanted_amount(type_, given[type_], currency, policy) for type_ in AMOUNT_TYPES if type_ in given]
    if "time_limit" in given:
        wanted.append(_wanted_time(given["time_limit"]["time_frame"]))
    if not wanted and "reality_check" not in given:
        raise ValidationError("There is no limit in it.")
    return RequestedLimits(given["uuid"], tuple(wanted), given.get("reality_check"), given.get("changed_by", "player"))


def _wanted_amount(type_: str, given: Mapping[str, str], currency: str, policy: Policy) -> WantedLimit:
    frame, cap = given["time_frame"], policy.caps.get((type_, currency))
    if given["new_amount"] == NO_LIMIT:
        return WantedLimit(type_, frame, None)
    if frame == NO_LIMIT:
        raise ValidationError({type_: ["An amount comes with a time frame."]})
    amount = money.parse_amount(given["new_amount"], currency)
    if cap is not None and amount > cap:
        raise RefusedError("above_cap", f"{type_}: at most {plain(cap, currency)}")
    return WantedLimit(type_, frame, amount)


def _wanted_time(text: str) -> WantedLimit:
    if text == NO_LIMIT:
        return WantedLimit("time_limit", SESSION, None)
    match = _MINUTES.fullmatch(text)
    minutes = int(match[1]) * (60 if match[2].startswith("hour") else 1) if match else 0
    if not 0 < minutes <= _MAX_MINUTES:
        raise ValidationError({"time_limit": ["A time such as 50_minutes, up to a day, is expected."]})
    return WantedLimit("time_limit", SESSION, minutes)


def read_update(document: Any) -> tuple[str, dict[str, Any]]:
    """The reference of an update, and what it repeats of the quote. Raises marshmallow's ValidationError."""
    given = _update.load(document)
    return given["uuid"], {name: value for name, value in document.items() if name != "uuid"}


def read_row_ids(values: Any) -> list[int]:
    """Row ids as they are sent: one or a list, each a string or a number, or several of them joined by commas."""
    values = [values] if type(values) is str else values
    if type(values) is not list or not all(type(value) in (str, Number) for value in values):
        raise ValidationError("A list of row ids is expected.")
    ids = [one.strip() for value in values for one in value.split(",")]
    if not ids or len(ids) > _MOST_ROWS or not all(re.fullmatch(r"\d{1,18}", one, re.ASCII) for one in ids):
        raise ValidationError("A list of row ids is expected.")
    return list(dict.fromkeys(map(int, ids)))


def calculated(
    standing: CurrentLimits, asked: RequestedLimits, effective: Sequence[datetime | None], usage: Usage
) -> dict[str, Any]:
    """The answer of calculate. `all` has what will bind where that is more than the change itself."""
    answer: dict[str, Any] = {}
    for wanted, instant in zip(asked.wanted, effective, strict=True):
        answer[wanted.type] = {
            "effective_of": "now" if instant is None else _to_the_minute(instant),
            "effective_of_at": instant.isoformat() if instant else None,
            **({"time_zone": _ZONE} if instant else {}),
            "time_frame": _frame(wanted.type, wanted.frame, wanted.amount),
        }
        if wanted.type != "time_limit":
            answer[wanted.type] |= _new_amounts(standing, wanted, usage)
    if asked.reality_check is not None:
        answer["reality_check"] = asked.reality_check
    return answer


def _new_amounts(standing: CurrentLimits, wanted: WantedLimit, usage: Usage) -> dict[str, Any]:
    rows = [
        {"time_frame": row["time_frame"], "amount": row["amount"], "amount_left": row["amount_left"]}
        | {"set_by": limit.set_by}
        for limit in standing.after(wanted)
        for _, row in [_row(standing, limit, usage)]
    ]
    asked = next((row for row in rows if (row["set_by"], row["time_frame"]) == (PLAYER, wanted.frame)), None)
    told = {"amount": NO_LIMIT, "amount_left": NO_LIMIT}
    if asked is not None:
        told = {"amount": asked["amount"], "amount_left": asked["amount_left"]}
    return told if rows == ([] if asked is None else [asked]) else {**told, "all": rows}


def limits_data(
    standing: CurrentLimits, usage: Usage, *, reality_check: str | None, session: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer of GET: what is in force, what is pending."""
    pending = {
        type_: _pending_data(standing, limits)
        for type_ in (*AMOUNT_TYPES, "time_limit")
        if (limits := [one for one in standing.limits if one.type == type_ and one.status == PENDING])
    }
    active: dict[str, Any] = {type_: _active_data(standing, type_, usage) for type_ in AMOUNT_TYPES}
    active["time_limit"] = _time_data(standing)
    for type_, one in pending.items():
        active[type_]["can_activate"] = one["can_activate"]
    return {"active": active, "pending": pending, "reality_check": reality_check or UNDEFINED, "session": dict(session)}


def _active_data(standing: CurrentLimits, type_: str, usage: Usage) -> dict[str, Any]:
    """The binding limit, the one of which the least is left, and `all` of them."""
    rows = [(_row(standing, limit, usage), limit) for limit in standing.in_force() if limit.type == type_]
    if not rows:
        nothing = dict.fromkeys(("time_frame", "amount", "amount_left", "end_time"), UNDEFINED)
        return {**nothing, "changed_by": None, "all": []}
    rows.sort(key=lambda pair: pair[0][0])
    return {**rows[0][0][1], "all": [row | {"set_by": limit.set_by} for (_, row), limit in rows]}


def _row(standing: CurrentLimits, limit: Limit, usage: Usage) -> tuple[int, dict[str, Any]]:
    """What is left of a limit, and the limit as it goes out."""
    assert limit.amount is not None
    player, currency = standing.player, standing.player.customer.currency
    window = window_at(limit.frame, standing.now, player.brand, player.policy, anchored_at=limit.anchored_at)
    used = usage.used(limit.type, player.customer.id, window.first, window.last, player.policy)
    changed = {"last_changed": UNDEFINED} if limit.set_by == BRAND else _instants(last_changed=limit.created_at)
    return limit.amount - used, {
        "time_frame": limit.frame,
        "amount": plain(limit.amount, currency),
        "amount_left": _left(limit.amount, used, currency),
        **_instants(start_time=window.start, end_time=window.end),
        **changed,
        **_changed_by(limit),
    }


def _changed_by(limit: Limit) -> dict[str, str]:
    """Whose limit it is. What a player calls itself is a label and proves nothing."""
    if limit.set_by != PLAYER:
        return {"changed_by": limit.changed_by}
    return {"changed_by": PLAYER} | ({"label": limit.changed_by} if limit.changed_by != PLAYER else {})


def _pending_data(standing: CurrentLimits, limits: Sequence[Limit]) -> dict[str, Any]:
    """The newest pending limit of a type, and where there are more `all` of them."""
    rows = [_pending_row(standing, limit) for limit in reversed(limits)]
    return rows[0] if len(rows) == 1 else {**rows[0], "all": rows}


def _pending_row(standing: CurrentLimits, limit: Limit) -> dict[str, Any]:
    can_swap = limit.needs_confirmation and standing.player.policy.swap_delete_enabled
    row = {
        "time_frame": _frame(limit.type, limit.frame, limit.amount),
        **_instants(start_time=limit.effective_at, last_changed=limit.created_at),
        "end_time": UNDEFINED,
        **_changed_by(limit),
        "row_id": str(limit.id),
        "can_activate": can_swap and standing.now >= limit.effective_at and not standing.is_above(limit),
    }
    if limit.expires_at is not None:
        row |= _instants(end_time=limit.expires_at)
    if limit.type != "time_limit":
        amount = limit.amount
        row["amount"] = NO_LIMIT if amount is None else plain(amount, standing.player.customer.currency)
    return row


def _to_the_minute(instant: datetime) -> str:
    """Rounded up to the minute: what is shown as possible at that minute is possible then."""
    return f"{instant + timedelta(seconds=59, microseconds=999_999):%Y-%m-%d %H:%M}"


def _time_data(standing: CurrentLimits) -> dict[str, Any]:
    """The tightest time limit of a session."""
    customer = standing.player.customer
    limits = [limit for limit in standing.in_force() if limit.type == "time_limit"]
    row = {"brand_id": customer.brand_id, "player_id": customer.id}
    if not limits:
        return {**row, "time_frame": UNDEFINED, "status": UNDEFINED, "changed_by": None, "effective_of": UNDEFINED}
    tightest = min(limits, key=lambda limit: limit.amount or 0)
    since = tightest.swapped_at or tightest.effective_at
    return {
        **row,
        "time_frame": f"{tightest.amount}_minutes",
        "status": "active",
        **_changed_by(tightest),
        "effective_of": f"{since:%Y-%m-%d %H:%M:%S}",
        "effective_of_at": since.isoformat(),
        "time_zone": _ZONE,
    }


def swapped_data(rows: Sequence[PlayerLimit], currency: str) -> dict[str, Any]:
    """The answer of swap."""
    answer: dict[str, Any] = {}
    for row in rows:
        answer[row.type] = {"effective_of": "now", "time_frame": _frame(row.type, row.frame, row.amount)}
        if row.type != "time_limit":
            answer[row.type]["amount"] = NO_LIMIT if row.amount is None else plain(row.amount, currency)
    return answer


def metadata(policy: Policy, currency: str) -> dict[str, Any]:
    """The answer of the metadata: what a page for editing limits offers."""
    answer: dict[str, Any] = {}
    for type_ in AMOUNT_TYPES:
        default = policy.applied_defaults(currency).get(type_) or policy.defaults.get((type_, currency))
        amount = NO_LIMIT if default is None else plain(default[1], currency)
        answer[type_] = {"amount": amount, "period": NO_LIMIT if default is None else default[0]}
        if (cap := policy.caps.get((type_, currency))) is not None:
            answer[type_]["maximum"] = plain(cap, currency)
    answer["limit_periods"] = [*FRAMES, NO_LIMIT]
    answer["reality_check"] = {"period": UNDEFINED, "options": list(REALITY_CHECKS)}
    return answer


def plain(minor: int, currency: str) -> str:
    """An amount as the source writes it: `250`, `250.50`."""
    text = money.format_amount(minor, currency)
    whole, _, fraction = text.partition(".")
    return text if fraction.strip("0") else whole


def _left(amount: int, used: int, currency: str) -> str:
    return plain(max(0, amount - used), currency)


def _frame(type_: str, frame: str, amount: int | None) -> str:
    if type_ != "time_limit":
        return frame
    return NO_LIMIT if amount is None else f"{amount}_minutes"


def _instants(**instants: datetime) -> dict[str, str]:
    """Instants in the source's format, each with its twin; the source's format does not say a zone."""
    told = {"time_zone": _ZONE}
    for name, instant in instants.items():
        told[name] = f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond // 100_000}"
        told[f"{name}_at"] = instant.isoformat()
    return told
