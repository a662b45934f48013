"""Reading betslips."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

import simplejson
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.betslips.messages import PMM, SUCCESS, Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage
from wallet_hooks.betslips.state import BetslipState, fold, price_list
from wallet_hooks.errors import NotFoundError
from wallet_hooks.web.strict_json import read_json, write_json


def find_betslips(session: Session, betslip_id: str) -> list[Betslip]:
    """Return the betslips with an id, of all brands and games. Raises NotFoundError where there is none."""
    query = select(Betslip).where(Betslip.betslip_id == betslip_id).order_by(Betslip.id)
    found = list(session.scalars(query)) if betslip_id.isprintable() else []
    if not found:
        raise NotFoundError(f"no betslip {betslip_id!r}")
    return found


def messages_of(session: Session, betslip: Betslip) -> list[BetslipMessage]:
    """Return a betslip's stored messages in the order of their arrival."""
    query = select(BetslipMessage).where(BetslipMessage.betslip_id == betslip.id).order_by(BetslipMessage.id)
    return list(session.scalars(query))


def states_of(session: Session, betslips: Collection[Betslip]) -> dict[int, BetslipState]:
    """Return the states that the betslips' messages leave, by the betslips' row ids. One statement for all."""
    arrived: dict[int, list[Message]] = {betslip.id: [] for betslip in betslips}
    names = {betslip.id: betslip.betslip_id for betslip in betslips}
    query = select(BetslipMessage).where(BetslipMessage.betslip_id.in_(arrived)).order_by(BetslipMessage.id)
    for row in session.scalars(query):
        arrived[row.betslip_id].append(_message(row, names[row.betslip_id]))
    return {id_: fold(messages) for id_, messages in arrived.items()}


def state_of(session: Session, betslip: Betslip) -> BetslipState:
    """Return the state that a betslip's messages leave."""
    return states_of(session, [betslip])[betslip.id]


def betslip_data(betslip: Betslip, state: BetslipState, *, stake: Decimal | None = None) -> dict[str, Any]:
    """Return a betslip as answers and commands show it: its messages' fields as they were sent.

    `best_price` is the highest effective price of a successful account whose smallest stake is at most `stake`.
    """
    return {
        "betslip_id": betslip.betslip_id,
        "game": betslip.game,
        "is_open": state.is_open,
        "close_reason": state.close_reason,
        "betslip": None if state.betslip is None else _as_sent(state.betslip.body),
        "accounts": [_as_sent(message.body) for message in state.prices.values()],
        "best_price": _best_price(state.prices.values(), stake),
        "late_prices": state.late_prices,
        "created_at": betslip.created_at.isoformat(),
        "changed_at": betslip.changed_at.isoformat(),
    }


def _message(row: BetslipMessage, betslip_id: str) -> Message:
    body = read_json(row.body.encode())
    account = (body["bookie"], body["username"]) if row.type == PMM else None
    return Message(row.type, betslip_id, None if row.ts is None else Decimal(row.ts), body, account)


def _as_sent(body: Any) -> Any:
    return simplejson.RawJSON(write_json(body))


def _best_price(messages: Iterable[Message], stake: Decimal | None) -> Any:
    prices = [
        Decimal(entry["effective"]["price"])
        for message in messages
        if message.body["status"]["code"] == SUCCESS
        for entry in price_list(message)
        if stake is None or _smallest_stake(entry) <= stake
    ]
    return max(prices, default=None)


def _smallest_stake(entry: Any) -> Decimal:
    currency, amount = entry["effective"]["min"]
    return money.as_decimal(money.parse_number(amount, currency), currency)
