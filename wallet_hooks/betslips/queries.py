"""Reading betslips."""

from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

import simplejson
from sqlalchemy import select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.betslips.bounds import without_noise
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM, SUCCESS, BookieLogin, Message, message_of
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice, StakeBounds
from wallet_hooks.betslips.state import BetslipState
from wallet_hooks.database.bulk import columns_of
from wallet_hooks.web.fields import UNWANTED
from wallet_hooks.web.strict_json import read_json, write_json

_Account = tuple[int, BookieLogin]  # a betslip's row id, and an account on it


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


def stored_message(row: Any) -> Message:
    """Return a message from a row with its columns."""
    return message_of(row.type, instant(row.ts), read_json(row.body.encode()))


def _shown_bodies(session: Session, states: Mapping[int, BetslipState]) -> dict[_Account, str]:
    """Return the bodies that are shown of accounts whose newest pmm has no prices, by betslip row id and account.

    They are the newest ones with the `price_list` of the last success, which counts for nothing any more.
    """
    wanted = {
        (id_, account): message
        for id_, state in states.items()
        for account, message in state.prices.items()
        if not message.bounds and _has_lost_prices(read_json(message.body.encode()))
    }
    last: dict[_Account, Message] = {}
    for row in _pmms(session, {id_ for id_, _ in wanted}):
        message = stored_message(row)
        assert message.bookie_login is not None, "a pmm names its bookmaker account"
        key = row.betslip_id, message.bookie_login
        is_earlier = key in wanted and wanted[key].is_newer_than(message.ts)
        if message.bounds and is_earlier and (key not in last or message.is_newer_than(last[key].ts)):
            last[key] = message
    return {key: _with_prices(wanted[key].body, message.body) for key, message in last.items()}


def _pmms(session: Session, betslip_ids: Collection[int]) -> Iterable[BetslipMessage]:
    if not betslip_ids:
        return ()
    own = (BetslipMessage.betslip_id.in_(betslip_ids), BetslipMessage.type == PMM)
    return session.scalars(select(BetslipMessage).where(*own).order_by(BetslipMessage.id))


def _has_lost_prices(body: Any) -> bool:
    return body["status"]["code"] != SUCCESS and body.get("price_list") is None


def _with_prices(body: str, priced: str) -> str:
    return write_json({**read_json(body.encode()), "price_list": read_json(priced.encode())["price_list"]})


def betslips_data(
    session: Session, betslips: Collection[Betslip], *, stake: Decimal | None = None
) -> list[dict[str, Any]]:
    """Return betslips as answers and commands show them: their messages' fields as they were sent.

    `best_price` is the highest effective price of a successful account whose smallest stake is at most `stake`.
    """
    states = states_of(session, betslips)
    shown = _shown_bodies(session, states)
    return [_betslip_data(betslip, states[betslip.id], shown, stake) for betslip in betslips]


def _betslip_data(
    betslip: Betslip, state: BetslipState, shown: Mapping[_Account, str], stake: Decimal | None
) -> dict[str, Any]:
    accounts = [shown.get((betslip.id, account), message.body) for account, message in state.prices.items()]
    return {
        "betslip_id": betslip.betslip_id,
        "game": betslip.game,
        "is_open": state.is_open,
        "close_reason": _close_reason(state),
        "betslip": None if state.announcement is None else simplejson.RawJSON(state.announcement.body),
        "accounts": [simplejson.RawJSON(body) for body in accounts],
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
