"""A brand's policy for limits: the preset of its regulator, overridden by the brand's own rules."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from wallet_hooks import money
from wallet_hooks.errors import RefusedError

AMOUNT_TYPES = ("bet", "loss", "deposit")
FRAMES = ("day", "week", "month")


class Policy(NamedTuple):
    """The rules for limits; docs/protocols/limits.md describes each of them.

    `cooldown` is how long a loosening is pending; with `wait_period_end` also until the running window ends, with
    `confirm_required` until the player confirms it. `week_start` is a weekday, Monday is 0. `caps` and `defaults` are
    minor units by (type, currency), defaults with their frame; with `defaults_apply` they limit players who set no
    limit. `session_gap` is the time without bets and calls after which the next login begins a new play session. With
    `resettle_approval` a resettlement in the console takes two members of staff.
    """

    cooldown: timedelta = timedelta(hours=24)
    confirm_required: bool = True
    wait_period_end: bool = False
    window: str = "calendar"
    week_start: int = 0
    attribution: str = "placement"
    pending_ttl: timedelta | None = None
    swap_delete_enabled: bool = True
    caps: Mapping[tuple[str, str], int] = {}
    defaults: Mapping[tuple[str, str], tuple[str, int]] = {}
    defaults_apply: bool = False
    session_gap: timedelta = timedelta(minutes=60)
    betslip_required: bool = False
    resettle_approval: bool = False

    def caps_in(self, currency: str) -> dict[str, int]:
        """Return the caps in a currency (minor units), by type."""
        return {type_: cap for (type_, code), cap in self.caps.items() if code == currency}

    def applied_defaults(self, currency: str) -> dict[str, tuple[str, int]]:
        """Return (frame, minor units) by type for players who set no limit: the default, or else the cap per day."""
        if not self.defaults_apply:
            return {}
        caps = {type_: ("day", cap) for type_, cap in self.caps_in(currency).items()}
        return caps | {type_: default for (type_, code), default in self.defaults.items() if code == currency}


PRESETS: dict[str, dict[str, Any]] = {
    # UK Gambling Commission, RTS 12: an increase waits 24 hours and takes effect only when the customer confirms it;
    # since October 2025 deposit limits are gross, over fixed windows.
    "ukgc": {"cooldown": "24h", "confirm_required": True, "window": "calendar"},
    # Sweden, Spellag (2018:1138) and SIFS 2022:3: an increase takes effect after 72 hours and after the running period.
    "sweden": {"cooldown": "72h", "confirm_required": False, "wait_period_end": True},
    # Germany, Glücksspielstaatsvertrag 2021, § 6c: deposits of at most 1,000 EUR a month unless the player asks for
    # another limit, and a raise takes effect after seven days.
    "germany": {
        "cooldown": "7d",
        "confirm_required": False,
        "defaults": {"deposit": {"EUR": {"amount": "1000", "period": "month"}}},
        "defaults_apply": True,
    },
    # Ontario, AGCO Registrar's Standards for Internet Gaming 2.11: a relaxation on request, after 24 hours.
    "ontario": {"cooldown": "24h", "confirm_required": False},
    # Malta, MGA Player Protection Directive: an increase after 24 hours.
    "mga": {"cooldown": "24h", "confirm_required": False},
}
# Ended logins are retained this long (see `login_sessions.py`), so a gap cannot be longer.
MAX_SESSION_GAP = timedelta(days=7)
_DURATION = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_CHOICES = {"window": ("calendar", "anniversary"), "attribution": ("placement", "cash")}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FLAGS = (
    "confirm_required",
    "wait_period_end",
    "swap_delete_enabled",
    "defaults_apply",
    "betslip_required",
    "resettle_approval",
)
_AMOUNTS = ("caps", "defaults")


@lru_cache(maxsize=1024)
def policy_of(text: str) -> Policy:
    """Return the policy that a brand's row stores as JSON."""
    document = json.loads(text)
    return read_policy(_drop_unknown_currencies(rules_in_force(document.get("preset"), document.get("limits", {}))))


def rules_in_force(preset: str | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a brand's own rules over a preset's. Caps and defaults are merged per type and currency."""
    rules = {**PRESETS.get(preset or "", {}), **own}
    for name in _AMOUNTS:
        of_preset = PRESETS.get(preset or "", {}).get(name, {})
        if of_preset and isinstance(own.get(name), dict):
            types = {**of_preset, **own[name]}
            rules[name] = {type_: _merge_amounts(of_preset.get(type_), amounts) for type_, amounts in types.items()}
    return rules


def _merge_amounts(amounts: Any, own: Any) -> Any:
    return {**amounts, **own} if isinstance(amounts, dict) and isinstance(own, dict) else own


def _drop_unknown_currencies(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Drop amounts in currencies that are no longer configured: no bet can be in them."""
    known = {
        name: {
            type_: {currency: amount for currency, amount in amounts.items() if money.is_currency(currency)}
            for type_, amounts in rules[name].items()
        }
        for name in _AMOUNTS
        if name in rules
    }
    return {**rules, **known}


def check_defaults(policy: Policy) -> None:
    """Check that no default is above the cap. Raises RefusedError (`bad_policy`)."""
    for (type_, currency), (_, amount) in policy.defaults.items():
        if amount > policy.caps.get((type_, currency), amount):
            raise RefusedError("bad_policy", f"defaults: {type_}: {currency}: the default is above the cap")


def check_raises(policy: Policy) -> None:
    """Check that a raise of a limit can take effect. Raises RefusedError (`bad_policy`)."""
    if policy.confirm_required and not policy.swap_delete_enabled:
        raise RefusedError(
            "bad_policy",
            "swap_delete_enabled: false requires confirm_required false, because a player cannot confirm a raise"
            " without swap",
        )
    if policy.confirm_required and policy.pending_ttl == timedelta(0):
        raise RefusedError(
            "bad_policy",
            "pending_ttl: more than 0 is expected, because a raise would expire before it can be confirmed",
        )


def read_policy(rules: Mapping[str, Any]) -> Policy:
    """Read rules as in a policy file: `{"cooldown": "72h", "week_start": "sunday", "caps": {"bet": {"EUR": "1000"}}}`.

    Raises RefusedError (`bad_policy`) for an unknown rule or an invalid value.
    """
    values: dict[str, Any] = {}
    for name, value in rules.items():
        if name in ("cooldown", "pending_ttl", "session_gap"):
            values[name] = _read_duration(name, value)
        elif (name in _FLAGS and isinstance(value, bool)) or (name in _CHOICES and value in _CHOICES[name]):
            values[name] = value
        elif name == "week_start" and value in _DAYS:
            values[name] = _DAYS.index(value)
        elif name == "caps":
            values[name] = _read_caps(value)
        elif name == "defaults":
            values[name] = _read_defaults(value)
        else:
            raise RefusedError("bad_policy", f"{name}: {value!r}: unknown rule or invalid value")
    if not timedelta(0) < values.get("session_gap", MAX_SESSION_GAP) <= MAX_SESSION_GAP:
        raise RefusedError("bad_policy", "session_gap: from 1m to 7d is expected")
    return Policy(**values)


def _read_duration(name: str, text: Any) -> timedelta:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise RefusedError("bad_policy", f"{name}: a duration such as 90m, 24h or 7d is expected")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _read_caps(document: Any) -> dict[tuple[str, str], int]:
    """Read `{"bet": {"EUR": "1000"}}` as minor units by (type, currency)."""
    try:
        return {
            (_check_amount_type(type_), currency): money.parse_amount(text, currency)
            for type_, amounts in document.items()
            for currency, text in amounts.items()
        }
    except (AttributeError, TypeError, money.MoneyError) as error:
        raise RefusedError("bad_policy", f"caps: {error}") from None


def _read_defaults(document: Any) -> dict[tuple[str, str], tuple[str, int]]:
    """Read `{"bet": {"EUR": {"amount": "1000", "period": "week"}}}` as (frame, minor units) by (type, currency)."""
    try:
        return {
            (_check_amount_type(type_), currency): (
                _check_frame(one["period"]),
                money.parse_amount(one["amount"], currency),
            )
            for type_, amounts in document.items()
            for currency, one in amounts.items()
        }
    except (AttributeError, KeyError, TypeError, money.MoneyError) as error:
        raise RefusedError("bad_policy", f"defaults: {error}") from None


def _check_amount_type(name: str) -> str:
    if name not in AMOUNT_TYPES:
        raise RefusedError("bad_policy", f"{name!r}: one of {', '.join(AMOUNT_TYPES)} is expected")
    return name


def _check_frame(name: str) -> str:
    if name not in FRAMES:
        raise RefusedError("bad_policy", f"{name!r}: one of {', '.join(FRAMES)} is expected")
    return name
