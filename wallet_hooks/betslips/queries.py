"""Reading betslips."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any, NamedTuple

import simplejson
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.betslips.bounds import without_noise
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM, SUCCESS, Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice, StakeBounds
from wallet_hooks.betslips.state import BetslipState
from wallet_hooks.database.bulk import columns_of
from wallet_hooks.web.fields import UNWANTED
from wallet_hooks.web.strict_json import read_json


class PriceRow(NamedTuple):
    """The newest pmm of a bookmaker account; `betslip_id` is the betslip's row."""

    betslip_id: int
    bookie: str
    username: str
    ts: str | None
    body: str
    bounds: StakeBounds


def find_betslips(session: Session, betslip_id: str) -> list[Betslip]:
    """Return the betslips with an id, of all games."""
    query = select(Betslip).where(Betslip.betslip_id == betslip_id).order_by(Betslip.id)
    return list(session.scalars(query)) if not UNWANTED.search(betslip_id) else []


def messages_of(session: Session, betslip: Betslip) -> list[BetslipMessage]:
    """Return a betslip's stored messages in the order of their arrival."""
    query = select(BetslipMessage).where(BetslipMessage.betslip_id == betslip.id).order_by(BetslipMessage.id)
    return list(session.scalars(query))


def states_of(session: Session, betslips: Collection[Betslip]) -> dict[int, BetslipState]:
    """Return the states of betslips by their row ids. One statement for all."""
    query = select(*columns_of(BetslipPrice, PriceRow)).where(
        BetslipPrice.betslip_id.in_([betslip.id for betslip in betslips])
    )
    return stored_states(betslips, map(PriceRow._make, session.execute(query)))


def state_of(session: Session, betslip: Betslip) -> BetslipState:
    """Return the state of a betslip."""
    return states_of(session, [betslip])[betslip.id]


def stored_states(betslips: Iterable[Any], prices: Iterable[PriceRow]) -> dict[int, BetslipState]:
    """Return states by row ids, from rows with a betslip's columns and from the prices of all of them."""
    states, names = {}, {}
    for row in betslips:
        names[row.id] = row.betslip_id
        state = states[row.id] = BetslipState(late_prices=row.late_prices)
        if row.announcement is not None:
            state.announcement = Message(BETSLIP, row.betslip_id, instant(row.announced_ts), row.announcement)
        if row.closing is not None:
            state.closing = Message(CLOSED, row.betslip_id, instant(row.closed_ts), row.closing, closes=True)
    for price in sorted(prices, key=lambda price: (price.bookie, price.username)):
        account = (price.bookie, price.username)
        message = Message(PMM, names[price.betslip_id], instant(price.ts), price.body, account, price.bounds)
        states[price.betslip_id].prices[account] = message
    return states


def instant(ts: str | None) -> Decimal | None:
    """Return a stored `ts`."""
    return None if ts is None else Decimal(ts)


def betslip_data(betslip: Betslip, state: BetslipState, *, stake: Decimal | None = None) -> dict[str, Any]:
    """Return a betslip as answers and commands show it: its messages' fields as they were sent.

    `best_price` is the highest effective price of a successful account whose smallest stake is at most `stake`.
    """
    return {
        "betslip_id": betslip.betslip_id,
        "game": betslip.game,
        "is_open": state.is_open,
        "close_reason": _close_reason(state),
        "betslip": None if state.announcement is None else simplejson.RawJSON(state.announcement.body),
        "accounts": [simplejson.RawJSON(message.body) for message in state.prices.values()],
        "best_price": _best_price(state.prices.values(), stake),
        "bounds": _bounds(state),
        "late_prices": state.late_prices,
        "created_at": betslip.created_at.isoformat(),
        "changed_at": betslip.changed_at.isoformat(),
    }


def _close_reason(state: BetslipState) -> str | None:
    return None if state.closing is None else read_json(state.closing.body.encode()).get("close_reason")


def _bounds(state: BetslipState) -> list[dict[str, Any]] | None:
    """Return the stakes that the successful accounts take together, by the currencies of their prices."""
    if state.bounds is None:
        return None
    return [
        {"min": [currency, money.as_decimal(low, currency)], "max": [currency, money.as_decimal(high, currency)]}
        for currency, (low, high) in sorted(state.bounds.items())
    ]


def _best_price(messages: Iterable[Message], stake: Decimal | None) -> Any:
    bodies = (read_json(message.body.encode()) for message in messages)
    prices = [
        Decimal(entry["effective"]["price"])
        for body in bodies
        if body["status"]["code"] == SUCCESS
        for entry in body.get("price_list") or ()
        if stake is None or _smallest_stake(entry) <= stake
    ]
    return max(prices, default=None)


def _smallest_stake(entry: Any) -> Decimal:
    return without_noise(entry["effective"]["min"][1])
