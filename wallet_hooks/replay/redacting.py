"""Remove secrets and personal data from captures, by an allow-list of members.

Ids and addresses become pseudonyms by a keyed hash, so that references still match. Members not listed are removed.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any
from zoneinfo import available_timezones

from wallet_hooks import money
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.policy import PRESETS, read_policy
from wallet_hooks.replay.bodies import decode_body
from wallet_hooks.replay.case_database import BRAND
from wallet_hooks.replay.fixture import VERSION
from wallet_hooks.sportsbook.messages import CODES
from wallet_hooks.web.fields import UNWANTED

_DIGITS = 15
_RESULTS = frozenset({"won", "lost", "void", "half_won", "half_lost", "cancelled", "refund", "push", "draw"})
_LONGEST_ID = 64
_METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_HOURS = re.compile(r"\d{2}:\d{2}", re.ASCII)
_COUNTRY = re.compile(r"[A-Z]{2}")
_AMOUNT_LENGTH = 40
_BENCHMARKS = int(IPv6Address("2001:2::"))
Redact = Callable[[Any], Any]


class Redactor:
    """Redacts cases with a key: the same key gives the same pseudonyms."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names = {BRAND, "betflex"}
        self.left_out = 0

    def register_brands(self, cases: Iterable[Mapping[str, Any]]) -> None:
        """Collect the brands and games among the preconditions of all cases; their names are not redacted."""
        for case in cases:
            self._register_brands(case)

    def redact(self, cases: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the redacted cases, numbered. Those with a body that is not JSON are left out and counted."""
        for number, case in enumerate(cases, 1):
            requests = [case["request"], *case.get("given", {}).get("requests", ())]
            if any(decode_body(request) is None for request in requests):
                self.left_out += 1
            else:
                yield self._case(case, number)

    def _register_brands(self, case: Mapping[str, Any]) -> None:
        for brand in case.get("given", {}).get("brands", ()):
            self._names |= {brand["client"], *(provider["game"] for provider in brand.get("providers", ()))}

    def _name(self, name: Any) -> Any:
        """Keep the name of a registered brand or game; pseudonymise any other, which may be personal data."""
        return name if isinstance(name, str) and name in self._names else f"name-{self._digits(f'name {name}')}"

    def _case(self, case: Mapping[str, Any], number: int) -> dict[str, Any]:
        self._register_brands(case)
        redacted: dict[str, Any] = {"v": VERSION, "name": f"case-{number:06}"}
        if "at" in case:
            redacted["at"] = case["at"]
        if given := self._listed(case.get("given", {}), self._given):
            redacted["given"] = given
        redacted["request"] = self._redacted_request(case["request"])
        redacted["expect"] = self._expect(case["expect"])
        return redacted | {"tags": ["redacted"], "source": "capture"}

    def _listed(self, value: Any, allowed: Mapping[str, Redact]) -> dict[str, Any]:
        """Return the members of an object that are on the allow-list, redacted."""
        if not isinstance(value, Mapping):
            return {}
        return {name: redact(value[name]) for name, redact in allowed.items() if name in value}

    def _redacted_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        allowed: dict[str, Redact] = {
            "method": _method, "path": _path, "sign": _boolean, "at": _keep, "status": _keep, "from": self._address,
        }  # fmt: skip
        return self._listed(request, allowed) | {"body": self._body(decode_body(request))}

    @property
    def _given(self) -> Mapping[str, Redact]:
        brand: dict[str, Redact] = {
            "client": self._name, "currency": _currency, "timezone": _timezone, "day_start": _hours, "preset": _preset,
            "policy": _policy, "corrections": _keep, "allow_countries": _countries, "deny_countries": _countries,
            "providers": self._each({"game": self._name, "auth": _keep}),
        }  # fmt: skip
        customer: dict[str, Redact] = {
            "brand": self._name, "uid": self._id, "currency": _currency, "roles": _roles, "active": _keep,
            "locked": _keep, "expires_at": _keep, "logged_in_at": _keep, "commission_rate": _amount,
            "commission_rates": self._each({"from": _keep, "percent": _amount}),
            **dict.fromkeys(("balance", "credit_limit", "stake_limit"), _keep),
        }  # fmt: skip
        limit: dict[str, Redact] = {"brand": self._name, "uid": self._id} | dict.fromkeys(
            ("type", "frame", "amount"), _keep
        )
        rate: dict[str, Redact] = {"source": _currency, "target": _currency, "rate": _amount}
        return {
            "brands": self._each(brand),
            "customers": self._each(customer),
            "limits": self._each(limit),
            "rates": self._each(rate),
            "countries": self._each({"address": self._address, "country": _keep}),
            "requests": lambda requests: list(map(self._redacted_request, requests)),
        }

    def _each(self, allowed: Mapping[str, Redact]) -> Redact:
        return lambda items: [self._listed(item, allowed) for item in items if isinstance(item, Mapping)]

    def _body(self, body: Any) -> Any:
        user = {"client": self._name, "uid": self._id, "ip": self._address}
        pool = {
            "client": self._name, "currency": _currency, "game": self._name, "uid": self._id, "overdraw": _amount,
        }  # fmt: skip
        bet = {"uid": self._id, "currency": _currency, "amount": _amount, "payout": _amount, "result": self._result}
        item: dict[str, Redact] = {
            "user": lambda value: self._listed(value, user),
            "bet": lambda value: self._listed(value, bet),
        }
        of_pool: dict[str, Redact] = {"pool": lambda value: self._listed(value, pool)}
        return self._listed(
            body, {"bets": self._each(item | of_pool), "pools": self._each(of_pool | {"bets": self._each(item)})}
        )

    def _expect(self, expect: Mapping[str, Any]) -> dict[str, Any]:
        redacted: dict[str, Any] = {"status": expect["status"]}
        body = expect.get("body")
        if isinstance(body, Mapping) and "fields" not in body:  # messages about fields may quote their values
            bet = {"uid": self._id, "error": _code}
            redacted["body"] = self._listed(body, {"status": _code, "error": _code, "bets": self._each(bet)})
        for name in ("balances", "limits"):
            if name in expect:
                colons = 1 if name == "balances" else 2
                redacted[name] = {self._key_of(key, colons): value for key, value in expect[name].items()}
        return redacted

    def _key_of(self, key: str, colons: int) -> str:
        """Redact the customer in the key of a balance or limit; the parts after it are words of the fixture schema."""
        customer, *rest = key.rsplit(":", colons)
        brand, slash, uid = customer.rpartition("/")
        if colons == 1:
            rest = [_currency(rest[0])]
        return ":".join([f"{self._name(brand) if slash else ''}{slash}{self._id(uid)}", *rest])

    def _id(self, value: Any) -> Any:
        """Return a pseudonym of digits, as a number for a number; an invalid id becomes another invalid id."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        pseudonym = self._digits(f"id {value}")
        if isinstance(value, int):
            return int(pseudonym)
        if not value or UNWANTED.search(value):
            return value and f"{pseudonym}\x01"
        return pseudonym if len(value) <= _LONGEST_ID else pseudonym * _LONGEST_ID

    def _address(self, value: Any) -> str:
        """Return a pseudonym in the IPv6 network reserved for benchmarks (RFC 5180), which is large enough."""
        if value in ("127.0.0.1", "::1"):
            return str(value)
        return str(IPv6Address(_BENCHMARKS + int(self._digits(f"address {value}"))))

    def _result(self, value: Any) -> Any:
        """Keep a known result word; pseudonymise any other string. A value of a wrong type stays invalid."""
        if not isinstance(value, str):
            return None if value is None else []
        return value if value in _RESULTS else f"result {self._digits(f'result {value}')}"

    def _digits(self, text: str) -> str:
        hashed = int.from_bytes(hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest())
        return str(
            7 * 10 ** (_DIGITS - 1) + hashed % (3 * 10 ** (_DIGITS - 1))
        )  # no payment card number begins with 7, 8 or 9


def _keep(value: Any) -> Any:
    return value


def _code(value: Any) -> Any:
    """Keep a status or error code of our answers."""
    return value if isinstance(value, str) and value in CODES else "redacted"


def _currency(value: Any) -> Any:
    return value if isinstance(value, str) and money.is_currency(value) else "XXX"


def _timezone(value: str) -> str:
    return value if value in available_timezones() else "UTC"


def _hours(value: str) -> str:
    return value if _HOURS.fullmatch(value) else "00:00"


def _preset(value: str | None) -> str | None:
    return value if value in PRESETS else None


def _policy(value: dict[str, Any]) -> dict[str, Any]:
    """Keep a valid policy, which has no free text."""
    try:
        read_policy(value)
    except RefusedError:
        return {}
    return value


def _countries(value: list[str]) -> list[str]:
    return [code for code in value if _COUNTRY.fullmatch(code)]


def _roles(value: list[str]) -> list[str]:
    return [role for role in value if role in ("customer", "bet_placer")]


def _amount(value: Any) -> Any:
    """Keep a decimal amount; anything else becomes a value that the service refuses as well."""
    is_amount = isinstance(value, str) and len(value) <= _AMOUNT_LENGTH and value.replace(".", "", 1).isdecimal()
    return value if value is None or is_amount or type(value) in (int, float) else "redacted"


def _method(value: Any) -> str:
    return value if value in _METHODS else "POST"


def _path(value: Any) -> str:
    return value if value in ("/bets", "/winners", "/bets/cancel") else "/redacted"


def _boolean(value: Any) -> bool:
    return value is True
