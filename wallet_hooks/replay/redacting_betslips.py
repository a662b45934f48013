"""Remove personal data from betslip messages, by an allow-list of members.

What decides about bets is kept: types, instants, statuses, prices and stakes. An invalid message becomes another
invalid one in the same place, because the answer has its index.
"""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError

from wallet_hooks.betslips.messages import BETSLIP, BLACKLIST, CLOSED, FAILED, PMM, SUCCESS
from wallet_hooks.betslips.schemas import PmmSchema, read_messages
from wallet_hooks.replay.allow_list import Redact, each_listed, keep, only_listed
from wallet_hooks.web.strict_json import read_json, write_json

_CODES = (SUCCESS, FAILED, BLACKLIST)
_CLOSE_REASONS = (None, "explicit_close_request", "timeout", "stale")
_WORD = "redacted"
_INVALID_BODY: dict[str, Any] = {}
_INVALID = [_WORD]
_PRICES = PmmSchema(only=["price_list"])
_IGNORED = [_WORD, {}]


class MessageRedactor:
    """Redacts bodies of POST /betslips/messages.

    `redact_id` redacts a betslip's id as the ids of bets, `digits` returns the digits of a text's pseudonym.
    """

    def __init__(self, redact_id: Redact, digits: Callable[[str], str]) -> None:
        self._digits = digits
        offer: dict[str, Redact] = dict.fromkeys(("price", "min", "max"), keep)
        offers: dict[str, Redact] = dict.fromkeys(
            ("effective", "bookie"), lambda value: None if value is None else only_listed(value, offer)
        )
        status: dict[str, Redact] = {"code": _known_word(_CODES), "reason": _known_word(())}
        close_reason = _known_word(_CLOSE_REASONS)
        self._allowed: Mapping[str, Mapping[str, Redact]] = {
            BETSLIP: {
                "betslip_id": redact_id, "customer_username": self._name, "is_open": keep, "close_reason": close_reason,
            },
            PMM: {
                "betslip_id": redact_id, "bookie": self._name, "username": self._name,
                "status": lambda value: only_listed(value, status), "price_list": each_listed(offers),
            },
            CLOSED: {"betslip_id": redact_id, "close_reason": close_reason},
        }  # fmt: skip

    def redact(self, body: bytes) -> bytes:
        """Return the redacted body, in the same form. Raises InvalidJSONError."""
        document = read_json(body)
        try:
            bad = {one.position for one in read_messages(document)[1]}
        except ValidationError:
            redacted: Any = _INVALID_BODY
        else:
            redacted = self._in_form(document, bad)
        return write_json(redacted).encode()

    def _in_form(self, document: Any, bad: set[int]) -> Any:
        """Redact one message, an array of them, or a frame; `bad` are the places of invalid messages."""
        if isinstance(document, dict):
            return only_listed(document, {"ts": keep, "data": lambda members: self._array(members, bad)})
        is_one = type(document[0]) is str
        return self._message(document, 0 in bad) if is_one else self._array(document, bad)

    def _array(self, members: list[Any], bad: set[int]) -> list[Any]:
        return [self._message(member, place in bad) for place, member in enumerate(members)]

    def _message(self, member: Any, is_bad: bool) -> list[Any]:
        if is_bad:
            return _INVALID
        type_, body = member
        if type_ not in self._allowed:
            return _IGNORED
        redacted = only_listed(body, self._allowed[type_])
        if type_ == PMM and _PRICES.validate({"price_list": body.get("price_list")}):
            del redacted["price_list"]  # without success it is not read, and may have anything in it
        return [type_, redacted]

    def _name(self, value: str | None) -> str | None:
        return None if value is None else f"name-{self._digits(f'name {value}')}"


def _known_word(known: tuple[str | None, ...]) -> Redact:
    return lambda value: value if value in known else _WORD
