"""Write what betslip messages changed, in a number of statements independent of how many there are."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, select

from wallet_hooks.betslips.loading import BetslipKey, LockedBetslip
from wallet_hooks.betslips.messages import Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice, CustomerSequence, StakeBounds
from wallet_hooks.betslips.queries import PriceRow
from wallet_hooks.database.bulk import (
    BulkStatement,
    RowSet,
    insert_from,
    insert_rows,
    run,
    select_rows,
    unique_key,
    update_rows,
)
from wallet_hooks.database.writes import Writes, write


class Arrival(NamedTuple):
    """A message for the betslip with a key, and the id of the delivery that brought it."""

    key: BetslipKey
    message: Message
    delivery_id: str


class _BetslipChange(NamedTuple):
    id: int
    customer_id: int | None
    is_streamed: bool
    is_open: bool
    changed_at: datetime
    bounds: StakeBounds | None
    announced_ts: str | None
    announcement: str | None
    closed_ts: str | None
    closing: str | None
    late_prices: int


class _MessageRow(NamedTuple):
    betslip_id: int
    type: str
    ts: str | None
    body: str
    received_at: datetime
    delivery_id: str
    customer_id: int | None
    seq: int | None


class _CountRow(NamedTuple):
    customer_id: int
    seq: int


class _NumberRow(NamedTuple):
    id: int
    customer_id: int
    seq: int


class _UnnumberedRow(NamedTuple):
    betslip_id: int
    id: int


_changed = RowSet.of("changed", Betslip, _BetslipChange)
_CHANGE = update_rows(_changed, Betslip)
_prices = RowSet.of("prices", BetslipPrice, PriceRow)


def _upsert_prices(dialect: Any) -> Any:
    insert = insert_from(dialect, _prices, BetslipPrice)
    account = unique_key(BetslipPrice)
    new = {name: insert.excluded[name] for name in _prices.names if name not in account}
    return insert.on_conflict_do_update(index_elements=account, set_=new)


_SET_PRICES: BulkStatement[Any] = BulkStatement(_prices, _upsert_prices)
_rebuilt = RowSet("rebuilt", BetslipPrice.betslip_id)
_DELETE_PRICES: BulkStatement[Any] = BulkStatement(
    _rebuilt, lambda _: delete(BetslipPrice).where(BetslipPrice.betslip_id.in_(select(_rebuilt.c.betslip_id)))
)
_arrived = RowSet.of("arrived", BetslipMessage, _MessageRow)
_INSERT_MESSAGES = insert_rows(_arrived, BetslipMessage)
_counts = RowSet.of("counts", CustomerSequence, _CountRow)


def _advance_sequences(dialect: Any) -> Any:
    insert = insert_from(dialect, _counts, CustomerSequence)
    total = CustomerSequence.seq + insert.excluded.seq
    advanced = insert.on_conflict_do_update(index_elements=unique_key(CustomerSequence), set_={"seq": total})
    return advanced.returning(CustomerSequence.customer_id, CustomerSequence.seq)


_ADVANCE = BulkStatement(_counts, _advance_sequences, row=_CountRow)
_unnumbered = RowSet("requested", BetslipMessage.betslip_id)
_UNNUMBERED = BulkStatement(
    _unnumbered,
    lambda _: (
        select_rows(_unnumbered, BetslipMessage, _UnnumberedRow)
        .where(BetslipMessage.seq.is_(None))
        .order_by(BetslipMessage.id)
    ),
    row=_UnnumberedRow,
)
_numbered = RowSet.of("numbered", BetslipMessage, _NumberRow)
_NUMBER = update_rows(_numbered, BetslipMessage)


def save(
    connection: Connection,
    betslips: Mapping[BetslipKey, LockedBetslip],
    arrivals: Sequence[Arrival],
    *,
    now: datetime,
) -> None:
    """Write betslips with their new states, and the messages that arrived, in their order."""
    numbers = _numbers(connection, betslips.values())
    write(connection, _DELETE_PRICES([(betslip.id,) for betslip in betslips.values() if betslip.needs_rebuild]))
    writes = Writes()
    writes.add(_CHANGE([_change(betslip, now) for betslip in betslips.values()]))
    writes.add(_SET_PRICES([price for betslip in betslips.values() for price in _new_prices(betslip)]))
    rows = []
    for key, message, delivery_id in arrivals:
        betslip = betslips[key]
        customer_id = betslip.stream_of
        seq = None if customer_id is None else next(numbers[customer_id])
        facts = (betslip.id, message.type, _text(message.ts), message.body, now, delivery_id)
        rows.append(_MessageRow(*facts, customer_id, seq))
    writes.add(_INSERT_MESSAGES(rows))
    writes.run(connection)


def _numbers(connection: Connection, betslips: Collection[LockedBetslip]) -> Mapping[int, Iterator[int]]:
    """Return each customer's next numbers for its messages, after numbering those that were stored before it was known.

    The customers' sequences stay locked until the end of the transaction, so numbers are committed in their order.
    """
    announced = {betslip.id: betslip.stream_of for betslip in betslips if betslip.is_announced}
    stored = run(connection, _UNNUMBERED([(id_,) for id_, customer_id in announced.items() if customer_id is not None]))
    earlier = [(row.id, customer_id) for row in stored if (customer_id := announced[row.betslip_id]) is not None]
    counts = Counter(customer_id for _, customer_id in earlier)
    for betslip in betslips:
        if betslip.stream_of is not None:
            counts[betslip.stream_of] += len(betslip.arrived)
    last = {row.customer_id: row.seq for row in run(connection, _ADVANCE(sorted(counts.items())))}
    numbers = {id_: iter(range(last[id_] - counts[id_] + 1, last[id_] + 1)) for id_ in last}
    write(connection, _NUMBER([(id_, customer_id, next(numbers[customer_id])) for id_, customer_id in earlier]))
    return numbers


def _change(betslip: LockedBetslip, now: datetime) -> _BetslipChange:
    state = betslip.state
    announcement, closing = state.announcement, state.closing
    return _BetslipChange(
        id=betslip.id,
        customer_id=betslip.customer_id,
        is_streamed=betslip.is_streamed,
        is_open=state.is_open,
        changed_at=now,
        bounds=state.bounds,
        announced_ts=announcement and _text(announcement.ts),
        announcement=announcement and announcement.body,
        closed_ts=closing and _text(closing.ts),
        closing=closing and closing.body,
        late_prices=state.late_prices,
    )


def _new_prices(betslip: LockedBetslip) -> Iterator[PriceRow]:
    prices = betslip.state.prices
    for account in prices if betslip.needs_rebuild else {message.bookie_login for message in betslip.arrived}:
        if account in prices:
            price = prices[account]
            yield PriceRow(betslip.id, *account, _text(price.ts), price.body, price.bounds or {})


def _text(ts: Decimal | None) -> str | None:
    return None if ts is None else str(ts)
