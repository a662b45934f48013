"""A brand's rules for limits: what it is regulated by, and what it adds."""

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
    """`cooldown`: how long a loosening waits, `wait_period_end`: and not before the running window ends,
    `confirm_required`: and then the player confirms it. `week_start` counts from Monday, 0. `caps` and `defaults` are
    minor units by type and currency, defaults with their frame; `defaults_apply`: they bind whoever set no limit.
    `session_gap`: how long a player neither bets nor calls before the next login begins a new session."""

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

    def caps_in(self, currency: str) -> dict[str, int]:
        """The caps in a currency, by type."""
        return {type_: cap for (type_, code), cap in self.caps.items() if code == currency}

    def applied_defaults(self, currency: str) -> dict[str, tuple[str, int]]:
        """What binds whoever set no limit, by type: the default, or else the cap by the day. Amounts in minor units."""
        if not self.defaults_apply:
            return {}
        caps = {type_: ("day", cap) for type_, cap in self.caps_in(currency).items()}
        return caps | {type_: default for (type_, code), default in self.defaults.items() if code == currency}


PRESETS: dict[str, dict[str, Any]] = {
    # UK Gambling Commission, RTS 12: an increase waits 24 hours and takes effect only when the customer confirms it;
    # since October 2025 deposit limits are gross, over fixed windows.
    "ukgc": {"cooldown": "24h", "confirm_required": True, "window": "calendar"},
    # Sweden, Spellag (2018:1138) and SIFS 2022:3: an increase after 72 hours, and not while the period runs.
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
# Sessions of people are remembered this long after they ended (see `sessions.py`).
MAX_SESSION_GAP = timedelta(days=7)
_DURATION = re.compile(r"(\d{1,4})([mhd])", re.ASCII)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_CHOICES = {"window": ("calendar", "anniversary"), "attribution": ("placement", "cash")}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_FLAGS = ("confirm_required", "wait_period_end", "swap_delete_enabled", "defaults_apply")
_AMOUNTS = ("caps", "defaults")


@lru_cache(maxsize=1024)
def policy_of(text: str) -> Policy:
    """The policy that a brand's row holds as JSON."""
    document = json.loads(text)
    return read_policy(_in_known_currencies(rules_in_force(document.get("preset"), document.get("limits", {}))))


def rules_in_force(preset: str | None, own: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's rules, and over them a brand's own; caps and defaults type by type and currency by currency."""
    rules = {**PRESETS.get(preset or "", {}), **own}
    for name in _AMOUNTS:
        of_preset = PRESETS.get(preset or "", {}).get(name, {})
        if of_preset and isinstance(own.get(name), dict):
            types = {**of_preset, **own[name]}
            rules[name] = {type_: _over(of_preset.get(type_), amounts) for type_, amounts in types.items()}
    return rules


def _over(amounts: Any, own: Any) -> Any:
    return {**amounts, **own} if isinstance(amounts, dict) and isinstance(own, dict) else own


def _in_known_currencies(rules: Mapping[str, Any]) -> dict[str, Any]:
    """Rules without amounts in currencies that were taken off the list since: in these nobody bets."""
    known = {
        name: {
            type_: {currency: amount for currency, amount in amounts.items() if _has_decimals(currency)}
            for type_, amounts in rules[name].items()
        }
        for name in _AMOUNTS
        if name in rules
    }
    return {**rules, **known}


def _has_decimals(currency: str) -> bool:
    try:
        money.decimals(currency)
    except money.UnknownCurrencyError:
        return False
    return True


def check_raises(policy: Policy) -> None:
    """Raises RefusedError for rules by which a raise of a limit could never take effect."""
    if policy.confirm_required and not policy.swap_delete_enabled:
        raise RefusedError(
            "bad_policy",
            "swap_delete_enabled: with false, confirm_required must be false: a raise would wait for a confirmation"
            " that the player cannot give",
        )
    if policy.confirm_required and policy.pending_ttl == timedelta(0):
        raise RefusedError(
            "bad_policy", "pending_ttl: more than 0 is expected: a raise would expire before it can be confirmed"
        )


def read_policy(rules: Mapping[str, Any]) -> Policy:
    """Rules as people write them: `{"cooldown": "72h", "week_start": "sunday", "caps": {"bet": {"EUR": "1000"}}}`.

    Raises RefusedError for a rule that there is not, or a value that cannot be.
    """
    values: dict[str, Any] = {}
    for name, value in rules.items():
        if name in ("cooldown", "pending_ttl", "session_gap"):
            values[name] = _duration(name, value)
        elif (name in _FLAGS and isinstance(value, bool)) or (name in _CHOICES and value in _CHOICES[name]):
            values[name] = value
        elif name == "week_start" and value in _DAYS:
            values[name] = _DAYS.index(value)
        elif name == "caps":
            values[name] = _amounts(value)
        elif name == "defaults":
            values[name] = _defaults(value)
        else:
            raise RefusedError("bad_policy", f"{name}: {value!r} is no rule for limits")
    if not timedelta(0) < values.get("session_gap", MAX_SESSION_GAP) <= MAX_SESSION_GAP:
        raise RefusedError("bad_policy", "session_gap: from 1m to 7d is expected")
    return Policy(**values)


def _duration(name: str, text: Any) -> timedelta:
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise RefusedError("bad_policy", f"{name}: a duration such as 90m, 24h or 7d is expected")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _amounts(document: Any) -> dict[tuple[str, str], int]:
    """`{"bet": {"EUR": "1000"}}`."""
    try:
        return {
            (_amount_type(type_), currency): money.parse_amount(text, currency)
            for type_, amounts in document.items()
            for currency, text in amounts.items()
        }
    except (AttributeError, TypeError, money.MoneyError) as error:
        raise RefusedError("bad_policy", f"caps: {error}") from None


def _defaults(document: Any) -> dict[tuple[str, str], tuple[str, int]]:
    """`{"bet": {"EUR": {"amount": "1000", "period": "week"}}}`."""
    try:
        return {
            (_amount_type(type_), currency): (_frame(one["period"]), money.parse_amount(one["amount"], currency))
            for type_, amounts in document.items()
            for currency, one in amounts.items()
        }
    except (AttributeError, KeyError, TypeError, money.MoneyError) as error:
        raise RefusedError("bad_policy", f"defaults: {error}") from None


def _amount_type(name: str) -> str:
    if name not in AMOUNT_TYPES:
        raise RefusedError("bad_policy", f"{name!r} is none of {', '.join(AMOUNT_TYPES)}")
    return name


def _frame(name: str) -> str:
    if name not in FRAMES:
        raise RefusedError("bad_policy", f"{name!r} is none of {', '.join(FRAMES)}")
    return name
