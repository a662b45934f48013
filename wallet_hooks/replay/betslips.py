"""Betslip messages in fixtures: the betslips that requests name, messages among the preconditions, stored messages."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import groupby
from typing import Any

from marshmallow import ValidationError
from sqlalchemy import Select, Uuid, cast, func, select
from sqlalchemy.orm import Session

from wallet_hooks.betslips.intake import MESSAGES_PATH
from wallet_hooks.betslips.messages import Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage
from wallet_hooks.betslips.schemas import MAX_MESSAGES, read_messages
from wallet_hooks.deliveries.models import Delivery
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.credentials import is_allowed
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.replay.bodies import body_member, encode_body
from wallet_hooks.sportsbook.messages import BETS_PATH, PlaceBet
from wallet_hooks.sportsbook.schemas import read_place_bets
from wallet_hooks.web.strict_json import InvalidJSONError, read_json

_FIRST_INSTANT = datetime.min.replace(tzinfo=UTC)


def read_given_messages(betslip: Mapping[str, Any]) -> list[Message]:
    """Return the messages of an element of `given.betslips`. Raises RefusedError for invalid ones."""
    try:
        messages, bad = read_messages(read_json(encode_body(betslip, "messages")))
    except (InvalidJSONError, ValidationError) as error:
        raise RefusedError("bad_betslip", f"betslips: {error}") from None
    if bad:
        raise RefusedError("bad_betslip", f"betslips: message {bad[0].position}: {bad[0].error}")
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
    if request["path"] != BETS_PATH:
        return []
    try:
        bets = read_place_bets(encode_body(request)).bets
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


class StoredMessages:
    """The stored messages of betslips, without those of the deliveries that a capture contains.

    `captured` selects the deliveries of the capture.
    """

    def __init__(self, session: Session, captured: Select[Any]) -> None:
        self._session = session
        delivery_id = cast(func.nullif(BetslipMessage.delivery_id, ""), Uuid)
        same = captured.with_only_columns(Delivery.id).order_by(None).where(Delivery.id == delivery_id)
        self._is_captured = same.correlate(BetslipMessage).exists()
        self._read_until: dict[int, datetime] = {}
        self._has_betslips = session.scalar(select(Betslip.id).limit(1)) is not None

    def find_betslip(self, bet: PlaceBet) -> Betslip | None:
        """Return the betslip that a bet names, None where it is unknown."""
        if not self._has_betslips:
            return None
        query = select(Betslip).join(Brand, Brand.id == Betslip.brand_id).where(Brand.client == bet.key.client)
        same = (Betslip.game == bet.key.game, Betslip.betslip_id == bet.betslip_id)
        return self._session.scalars(query.where(*same)).one_or_none()

    def read_until(self, betslip: Betslip, instant: datetime) -> Iterator[bytes]:
        """Yield a betslip's messages until an instant as arrays and frames, in the order of their arrival.

        A later call leaves out what an earlier one yielded.
        """
        before = self._read_until.get(betslip.id, _FIRST_INSTANT)
        self._read_until[betslip.id] = max(before, instant)
        query = select(BetslipMessage.ts, BetslipMessage.type, BetslipMessage.body).where(
            BetslipMessage.betslip_id == betslip.id,
            BetslipMessage.received_at > before,
            BetslipMessage.received_at <= instant,
            ~self._is_captured,
        )
        rows = self._session.execute(query.order_by(BetslipMessage.id))
        for ts, same in groupby(rows, key=lambda row: row.ts):
            messages = [f'["{row.type}",{row.body}]' for row in same]
            for first in range(0, len(messages), MAX_MESSAGES):
                some = f"[{','.join(messages[first : first + MAX_MESSAGES])}]"
                yield (some if ts is None else f'{{"ts":{ts},"data":{some}}}').encode()

    def find_sender(self, delivery: Delivery) -> tuple[str, str] | None:
        """Return the brand and game of a provider with whose credentials a delivery of messages can be sent again.

        It is one for which they were stored; if there is none, any that may call from the same address: all get the
        same answer.
        """
        # A call from this machine counts for providers without authentication too, whoever signed it.
        providers = select(Provider, Brand.client).join(Brand, Brand.id == Provider.brand_id)
        providers = providers.order_by(Provider.auth == "none", Provider.id)
        stored = (
            providers.join(Betslip, (Betslip.brand_id == Provider.brand_id) & (Betslip.game == Provider.game))
            .join(BetslipMessage, BetslipMessage.betslip_id == Betslip.id)
            .where(BetslipMessage.delivery_id == delivery.id.hex)
        )
        messages = find_messages({"path": delivery.path, **body_member(delivery.body)})[:1]
        queries = [*(stored.where(Betslip.betslip_id == one.betslip_id) for one in messages), providers]
        source = ip_address(delivery.source or "127.0.0.1")
        found = (row for query in queries for row in self._session.execute(query) if _may_call(row.Provider, source))
        return next(((row.client, row.Provider.game) for row in found), None)


def _may_call(provider: Provider, source: IPv4Address | IPv6Address) -> bool:
    return is_allowed([ip_network(network) for network in provider.allow], source)
