"""Taking what is secret or personal out of captures, by a list of what may stay.

Ids and addresses become pseudonyms by a keyed hash, so that what belonged together still does. What is not listed goes.
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
from wallet_hooks.replay.fixture import VERSION, document_of
from wallet_hooks.replay.stage import BRAND
from wallet_hooks.sportsbook.messages import CODES
from wallet_hooks.web.shapes import UNWANTED

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
    """Redacts cases with one key: the same key gives the same pseudonyms."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names = {BRAND, "betflex"}
        self.left_out = 0

    def learn(self, cases: Iterable[Mapping[str, Any]]) -> None:
        """Hear of the brands that are given anywhere, so that they keep their names everywhere."""
        for case in cases:
            self._learn(case)

    def redact(self, cases: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """The cases, numbered. Those whose bodies are no JSON are left out, and counted: who knows what is in them."""
        for number, case in enumerate(cases, 1):
            requests = [case["request"], *case.get("given", {}).get("requests", ())]
            if any(document_of(request) is None for request in requests):
                self.left_out += 1
            else:
                yield self._case(case, number)

    def _learn(self, case: Mapping[str, Any]) -> None:
        for brand in case.get("given", {}).get("brands", ()):
            self._names |= {brand["client"], *(provider["game"] for provider in brand.get("providers", ()))}

    def _known(self, name: Any) -> Any:
        """A brand or a game that is given is a name of ours; any other may be anything."""
        return name if isinstance(name, str) and name in self._names else f"name-{self._digits(f'name {name}')}"

    def _case(self, case: Mapping[str, Any], number: int) -> dict[str, Any]:
        self._learn(case)
        redacted: dict[str, Any] = {"v": VERSION, "name": f"case-{number:06}"}
        if "at" in case:
            redacted["at"] = case["at"]
        if given := self._listed(case.get("given", {}), self._given):
            redacted["given"] = given
        redacted["request"] = self._redacted_request(case["request"])
        redacted["expect"] = self._expect(case["expect"])
        return redacted | {"tags": ["redacted"], "source": "capture"}

    def _listed(self, value: Any, allowed: Mapping[str, Redact]) -> dict[str, Any]:
        """What of an object is on the list, redacted."""
        if not isinstance(value, Mapping):
            return {}
        return {name: redact(value[name]) for name, redact in allowed.items() if name in value}

    def _redacted_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        allowed: dict[str, Redact] = {
            "method": _method, "path": _path, "sign": _boolean, "at": _kept, "status": _kept, "from": self._address,
        }  # fmt: skip
        return self._listed(request, allowed) | {"body": self._body(document_of(request))}

    @property
    def _given(self) -> Mapping[str, Redact]:
        brand: dict[str, Redact] = {
            "client": self._known, "currency": _currency, "timezone": _timezone, "day_start": _hours, "preset": _preset,
            "policy": _policy, "corrections": _kept, "allow_countries": _countries, "deny_countries": _countries,
            "providers": self._each({"game": self._known, "auth": _kept}),
        }  # fmt: skip
        customer: dict[str, Redact] = {
            "brand": self._known, "uid": self._id, "currency": _currency, "roles": _roles, "active": _kept,
            "locked": _kept, "expires_at": _kept, "logged_in_at": _kept, "commission_rate": _amount,
            "commission_rates": self._each({"from": _kept, "percent": _amount}),
            **dict.fromkeys(("balance", "credit_limit", "stake_limit"), _kept),
        }  # fmt: skip
        limit: dict[str, Redact] = {"brand": self._known, "uid": self._id} | dict.fromkeys(
            ("type", "frame", "amount"), _kept
        )
        rate: dict[str, Redact] = {"source": _currency, "target": _currency, "rate": _amount}
        return {
            "brands": self._each(brand),
            "customers": self._each(customer),
            "limits": self._each(limit),
            "rates": self._each(rate),
            "countries": self._each({"address": self._address, "country": _kept}),
            "requests": lambda requests: list(map(self._redacted_request, requests)),
        }

    def _each(self, allowed: Mapping[str, Redact]) -> Redact:
        return lambda items: [self._listed(item, allowed) for item in items if isinstance(item, Mapping)]

    def _body(self, body: Any) -> Any:
        user = {"client": self._known, "uid": self._id, "ip": self._address}
        pool = {
            "client": self._known, "currency": _currency, "game": self._known, "uid": self._id, "overdraw": _amount,
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
        if isinstance(body, Mapping) and "fields" not in body:  # what is wrong with a field may quote it
            bet = {"uid": self._id, "error": _code}
            redacted["body"] = self._listed(body, {"status": _code, "error": _code, "bets": self._each(bet)})
        for name in ("balances", "limits"):
            if name in expect:
                colons = 1 if name == "balances" else 2
                redacted[name] = {self._key_of(key, colons): value for key, value in expect[name].items()}
        return redacted

    def _key_of(self, key: str, colons: int) -> str:
        """The key of a balance or a limit: its customer is a pseudonym, what follows are words of the schema's."""
        who, *rest = key.rsplit(":", colons)
        brand, slash, uid = who.rpartition("/")
        if colons == 1:
            rest = [_currency(rest[0])]
        return ":".join([f"{self._known(brand) if slash else ''}{slash}{self._id(uid)}", *rest])

    def _id(self, value: Any) -> Any:
        """Digits, as a number where it was one; of what is no id, something that is none either."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            return None
        pseudonym = self._digits(f"id {value}")
        if isinstance(value, int):
            return int(pseudonym)
        if not value or UNWANTED.search(value):
            return value and f"{pseudonym}\x01"
        return pseudonym if len(value) <= _LONGEST_ID else pseudonym * _LONGEST_ID

    def _address(self, value: Any) -> str:
        """An address of the network that is set aside for benchmarks (RFC 5180), which has room for all of them."""
        if value in ("127.0.0.1", "::1"):
            return str(value)
        return str(IPv6Address(_BENCHMARKS + int(self._digits(f"address {value}"))))

    def _result(self, value: Any) -> Any:
        """A word that says nothing of anybody, or a pseudonym of it."""
        if not isinstance(value, str):
            return None if value is None else []
        return value if value in _RESULTS else f"result {self._digits(f'result {value}')}"

    def _digits(self, text: str) -> str:
        hashed = int.from_bytes(hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest())
        return str(7 * 10 ** (_DIGITS - 1) + hashed % (3 * 10 ** (_DIGITS - 1)))  # no card begins with 7, 8 or 9


def _kept(value: Any) -> Any:
    return value


def _code(value: Any) -> Any:
    """Of an answer: ours are words."""
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
    """Rules that are ours, which hold no free text."""
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
    """Digits and a point; what is none is refused by the service, and so is what stands for it."""
    is_amount = isinstance(value, str) and len(value) <= _AMOUNT_LENGTH and value.replace(".", "", 1).isdecimal()
    return value if value is None or is_amount or type(value) in (int, float) else "redacted"


def _method(value: Any) -> str:
    return value if value in _METHODS else "POST"


def _path(value: Any) -> str:
    return value if value in ("/bets", "/winners", "/bets/cancel") else "/redacted"


def _boolean(value: Any) -> bool:
    return value is True
