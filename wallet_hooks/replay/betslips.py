"""Betslip messages in fixtures: the betslips that requests name, and messages among the preconditions."""

from collections.abc import Iterator, Mapping
from typing import Any

from marshmallow import ValidationError

from wallet_hooks.betslips.messages import Message
from wallet_hooks.betslips.schemas import read_messages
from wallet_hooks.errors import RefusedError
from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.sportsbook.messages import PlaceBet
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

MESSAGES_PATH = "/betslips/messages"


def read_given_messages(betslip: Mapping[str, Any]) -> list[Message]:
    """Return the messages of an element of `given.betslips`. Raises RefusedError for invalid ones."""
    try:
        messages, bad = read_messages(read_json(encode_body(betslip, "messages")))
    except (InvalidJSONError, ValidationError) as error:
        raise RefusedError("bad_betslip", f"betslips: {error}") from None
    if bad:
        raise RefusedError("bad_betslip", f"betslips: message {bad[0].place}: {bad[0].error}")
    return messages


def find_messages(request: Mapping[str, Any]) -> list[Message]:
    """Return the valid messages that a request to POST /betslips/messages contains."""
    if request["path"] != MESSAGES_PATH:
        return []
    try:
        return read_messages(read_json(encode_body(request)))[0]
    except (InvalidJSONError, ValidationError):
        return []


def find_bets_of_betslips(request: Mapping[str, Any]) -> list[PlaceBet]:
    """Return the bets of a request to POST /bets that name a betslip; none of an invalid request, which is refused."""
    if request["path"] != "/bets":
        return []
    try:
        bets = read_place_bets(read_json(encode_body(request))).bets
    except (InvalidJSONError, ValidationError):
        return []
    return [bet for bet in bets if bet.betslip_id is not None]


def find_betslip_ids(request: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the betslips that a request's bets and messages name."""
    yield from (message.betslip_id for message in find_messages(request))
    yield from (bet.betslip_id for bet in find_bets_of_betslips(request) if bet.betslip_id is not None)


def without_details(answer: Any, expected: Any) -> Any:
    """Return an answer with the indexes of its `messages` alone, if the expected answer has nothing else of them.

    Redacted cases have it so, because an error may quote a value.
    """
    has_indexes = isinstance(expected, dict) and "messages" in expected and expected == _with_indexes(expected)
    return _with_indexes(answer) if has_indexes else answer


def _with_indexes(answer: Any) -> Any:
    messages = answer.get("messages") if isinstance(answer, dict) else None
    if not isinstance(messages, list):
        return answer
    return answer | {"messages": [{"index": one.get("index")} for one in messages if isinstance(one, dict)]}
