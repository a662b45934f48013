"""Remove secrets and personal data from captures, by an allow-list of members.

Ids and addresses become pseudonyms by a keyed hash, so that references still match. Members not listed are removed.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv6Address
from typing import Any
from zoneinfo import available_timezones

from wallet_hooks import money
from wallet_hooks.betslips.intake import MESSAGES_PATH
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.countries import COUNTRY_CODE
from wallet_hooks.identity.policy import PRESETS, read_policy
from wallet_hooks.replay.allow_list import Redact, each_listed, keep, only_listed
from wallet_hooks.replay.bodies import body_member, decode_body, encode_body
from wallet_hooks.replay.fixture import VERSION
from wallet_hooks.replay.preconditions import BRAND
from wallet_hooks.replay.redacting_betslips import MessageRedactor
from wallet_hooks.sportsbook.messages import CALLBACK_PATHS, CODES, LOSS_RESULTS, VOID_RESULTS
from wallet_hooks.web.fields import UNWANTED
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

_DIGITS = 15
_RESULTS = VOID_RESULTS | LOSS_RESULTS | {"won", "half_won", "half_lost", "draw"}
_LONGEST_ID = 64
_METHODS = ("POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_HOURS = re.compile(r"\d{2}:\d{2}", re.ASCII)
_COUNTRY = re.compile(COUNTRY_CODE)
_AMOUNT_LENGTH = 40
_BENCHMARKS = int(IPv6Address("2001:2::"))


class Redactor:
    """Redacts cases with a key: the same key gives the same pseudonyms."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._names = {BRAND, "betflex"}
        self._messages = MessageRedactor(self._id, self._digits)
        self.left_out = 0

    def register_brands(self, cases: Iterable[Mapping[str, Any]]) -> None:
        """Collect the brands and games among the preconditions of all cases; their names are not redacted."""
        for case in cases:
            self._register_brands(case)

    def redact(self, cases: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the redacted cases, numbered. Those with a body that is not JSON are left out and counted."""
        for number, case in enumerate(cases, 1):
            given = case.get("given", {})
            requests = [case["request"], *given.get("requests", ())]
            if all(map(_is_readable, requests)) and all(
                _has_messages(one, "messages") for one in given.get("betslips", ())
            ):
                yield self._case(case, number)
            else:
                self.left_out += 1

    def _register_brands(self, case: Mapping[str, Any]) -> None:
        for brand in case.get("given", {}).get("brands", ()):
            self._names |= {brand["client"], *(provider["game"] for provider in brand.get("providers", ()))}

    def _name(self, name: Any) -> Any:
        """Keep the name of a registered brand or game; pseudonymise any other, which may be personal data.

        What is no name stays invalid.
        """
        if not isinstance(name, str):
            return None
        if name in self._names or not name:
            return name
        return f"name-{self._digits(f'name {name}')}" + ("\x01" if UNWANTED.search(name) else "")

    def _case(self, case: Mapping[str, Any], number: int) -> dict[str, Any]:
        self._register_brands(case)
        redacted: dict[str, Any] = {"v": VERSION, "name": f"case-{number:06}"}
        if "at" in case:
            redacted["at"] = case["at"]
        if given := only_listed(case.get("given", {}), self._given):
            redacted["given"] = given
        redacted["request"] = self._redacted_request(case["request"])
        redacted["expect"] = self._expect(case["expect"])
        return redacted | {"tags": ["redacted"], "source": "capture"}

    def _redacted_request(self, request: Mapping[str, Any]) -> dict[str, Any]:
        allowed: dict[str, Redact] = {
            "method": _method, "path": _path, "sign": self._sign, "at": keep, "status": keep, "from": self._address,
        }  # fmt: skip
        if request["path"] == MESSAGES_PATH:
            body = body_member(self._messages.redact(encode_body(request)))
        else:
            body = {"body": self._body(decode_body(request))}
        return only_listed(request, allowed) | body

    def _sign(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value is True
        flags: dict[str, Redact] = dict.fromkeys(("expired", "wrong"), keep)
        return only_listed(value, flags | {"brand": self._name, "game": self._name, "role": _role})

    @property
    def _given(self) -> Mapping[str, Redact]:
        brand: dict[str, Redact] = {
            "client": self._name, "currency": _currency, "timezone": _timezone, "day_start": _hours, "preset": _preset,
            "policy": _policy, "corrections": keep, "allow_countries": _countries, "deny_countries": _countries,
            "providers": each_listed({"game": self._name, "auth": keep, "credentials": keep}),
        }  # fmt: skip
        customer: dict[str, Redact] = {
            "brand": self._name, "uid": self._id, "currency": _currency, "roles": _roles, "active": keep,
            "locked": keep, "expires_at": keep, "logged_in_at": keep, "commission_rate": _amount,
            "commission_rates": each_listed({"from": keep, "percent": _amount}),
            **dict.fromkeys(("balance", "credit_limit", "stake_limit"), keep),
        }  # fmt: skip
        limit: dict[str, Redact] = {"brand": self._name, "uid": self._id} | dict.fromkeys(
            ("type", "frame", "amount"), keep
        )
        rate: dict[str, Redact] = {"source": _currency, "target": _currency, "rate": _amount}
        return {
            "brands": each_listed(brand),
            "customers": each_listed(customer),
            "limits": each_listed(limit),
            "rates": each_listed(rate),
            "countries": each_listed({"address": self._address, "country": keep}),
            "betslips": lambda betslips: list(map(self._betslip, betslips)),
            "requests": lambda requests: list(map(self._redacted_request, requests)),
        }

    def _betslip(self, betslip: Mapping[str, Any]) -> dict[str, Any]:
        messages = self._messages.redact(encode_body(betslip, "messages"))
        place: dict[str, Redact] = {"brand": self._name, "game": self._name}
        return only_listed(betslip, place) | body_member(messages, "messages")

    def _body(self, body: Any) -> Any:
        user = {"client": self._name, "uid": self._id, "ip": self._address}
        pool = {
            "client": self._name, "currency": _currency, "game": self._name, "uid": self._id, "overdraw": _amount,
        }  # fmt: skip
        bet = {
            "uid": self._id, "currency": _currency, "amount": _amount, "payout": _amount, "result": self._result,
            "extra": lambda value: only_listed(value, {"betslip_id": self._id}),
        }  # fmt: skip
        item: dict[str, Redact] = {
            "user": lambda value: only_listed(value, user),
            "bet": lambda value: only_listed(value, bet),
        }
        of_pool: dict[str, Redact] = {"pool": lambda value: only_listed(value, pool)}
        return only_listed(
            body, {"bets": each_listed(item | of_pool), "pools": each_listed(of_pool | {"bets": each_listed(item)})}
        )

    def _expect(self, expect: Mapping[str, Any]) -> dict[str, Any]:
        redacted: dict[str, Any] = {"status": expect["status"]}
        body = expect.get("body")
        if isinstance(body, Mapping) and "fields" not in body:  # messages about fields may quote their values
            bet = {"uid": self._id, "error": _code}
            messages = each_listed({"index": _number})
            redacted["body"] = only_listed(
                body, {"status": _code, "error": _code, "bets": each_listed(bet), "messages": messages}
            )
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
            return int(pseudonym) if 0 <= value < 10**_LONGEST_ID else -1
        if not value or UNWANTED.search(value):
            return value and f"{pseudonym}\x01"
        if value != value.strip():
            return f" {pseudonym}"
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
        return value if value.lower() in _RESULTS else f"result {self._digits(f'result {value}')}"

    def _digits(self, text: str) -> str:
        hashed = int.from_bytes(hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest())
        return str(
            7 * 10 ** (_DIGITS - 1) + hashed % (3 * 10 ** (_DIGITS - 1))
        )  # no payment card number begins with 7, 8 or 9


def _code(value: Any) -> Any:
    """Keep a status or error code of our answers."""
    return value if isinstance(value, str) and value in CODES else "redacted"


def _number(value: Any) -> Any:
    return value if isinstance(value, int) else 0


def _currency(value: Any) -> Any:
    """Keep a known currency; replace any other by one that is unknown, or as invalid."""
    if not isinstance(value, str) or not 3 <= len(value) <= 6:
        return "X"
    return value if money.is_currency(value) else "XXX"


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
    return value if value in (*CALLBACK_PATHS, MESSAGES_PATH) else "/redacted"


def _role(value: str) -> str:
    return value if value in ("user", "admin") else "other"


def _is_readable(request: Mapping[str, Any]) -> bool:
    """Return whether a request's body is JSON that can be redacted."""
    return _has_messages(request) if request["path"] == MESSAGES_PATH else decode_body(request) is not None


def _has_messages(holder: Mapping[str, Any], name: str = "body") -> bool:
    try:
        read_json(encode_body(holder, name))
    except InvalidJSONError:
        return False
    return True
