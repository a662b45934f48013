"""Lock betslips and load their states, in a number of statements independent of how many there are."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, func, select

from wallet_hooks.betslips.messages import Message
from wallet_hooks.betslips.models import Betslip, BetslipMessage, BetslipPrice
from wallet_hooks.betslips.queries import PriceRow, stored_message, stored_states
from wallet_hooks.betslips.state import BetslipState
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.usernames import folded
from wallet_hooks.database.bulk import (
    BulkStatement,
    RowSet,
    columns_of,
    find_rows,
    insert_rows,
    pipeline,
    run,
    select_rows,
)
from wallet_hooks.database.writes import write

BetslipKey = tuple[int, str, str]


class _NewRow(NamedTuple):
    brand_id: int
    game: str
    betslip_id: str
    is_streamed: bool
    is_open: bool
    created_at: datetime
    changed_at: datetime
    late_prices: int


class _KeyRow(NamedTuple):
    brand_id: int
    game: str
    betslip_id: str


class _StreamedRow(NamedTuple):
    brand_id: int
    betslip_id: str


class _LockedRow(NamedTuple):
    id: int
    brand_id: int
    game: str
    betslip_id: str
    customer_id: int | None
    is_streamed: bool
    announced_ts: str | None
    announcement: str | None
    closed_ts: str | None
    closing: str | None
    late_prices: int


class _HistoryRow(NamedTuple):
    betslip_id: int
    type: str
    ts: str | None
    body: str


class _CustomerRow(NamedTuple):
    id: int
    brand_id: int
    username: str


@dataclass(slots=True)
class LockedBetslip:
    """A betslip under its lock: its state, and the messages that arrived since it was loaded.

    `is_announced` says that one of these named its customer; `needs_rebuild`, that the state must be computed from all
    messages again (see `state.py`).
    """

    id: int
    brand_id: int
    betslip_id: str
    customer_id: int | None
    is_streamed: bool
    state: BetslipState
    arrived: list[Message] = field(default_factory=list)
    is_announced: bool = False
    needs_rebuild: bool = False

    @property
    def stream_of(self) -> int | None:
        """The customer whose stream gets the messages."""
        return self.customer_id if self.is_streamed else None

    def add(self, message: Message, *, customer_id: int | None) -> None:
        """Add the newest arrival; `customer_id` is the customer that it names."""
        self.arrived.append(message)
        self.needs_rebuild = not self.state.add(message) or self.needs_rebuild
        if self.customer_id is None and customer_id is not None:
            self.customer_id, self.is_announced = customer_id, True


_keys = RowSet("requested", Betslip.brand_id, Betslip.game, Betslip.betslip_id)
_EXISTING: BulkStatement[_KeyRow] = find_rows(_keys, Betslip, _KeyRow)
_created = RowSet.of("created", Betslip, _NewRow)
_CREATE = insert_rows(_created, Betslip, skip_existing=True)
# Locked in the order of their keys, in which missing ones are created too, so that two requests cannot deadlock.
_LOCK = BulkStatement(
    _keys,
    lambda _: (
        select_rows(_keys, Betslip, _LockedRow)
        .order_by(Betslip.brand_id, Betslip.game, Betslip.betslip_id)
        .with_for_update(of=Betslip)
    ),
    row=_LockedRow,
)
_PRICES = BulkStatement(
    _keys,
    lambda _: select(*columns_of(BetslipPrice, PriceRow)).select_from(
        _keys.join(Betslip, _keys.matches(Betslip)).join(BetslipPrice, BetslipPrice.betslip_id == Betslip.id)
    ),
    row=PriceRow,
)
_ids = RowSet("requested", Betslip.brand_id, Betslip.betslip_id)
_STREAMED = BulkStatement(
    _ids,
    lambda _: select_rows(_ids, Betslip, _StreamedRow).where(Betslip.is_streamed),
    row=_StreamedRow,
)
_betslips = RowSet("requested", BetslipMessage.betslip_id)
_MESSAGES = BulkStatement(
    _betslips,
    lambda _: select_rows(_betslips, BetslipMessage, _HistoryRow).order_by(BetslipMessage.id),
    row=_HistoryRow,
)
_usernames = RowSet("requested", Customer.brand_id, Customer.username)
_CUSTOMERS = BulkStatement(
    _usernames,
    lambda _: select(*columns_of(Customer, _CustomerRow)).select_from(
        _usernames.join(
            Customer,
            (Customer.brand_id == _usernames.c.brand_id) & (func.lower(Customer.username) == _usernames.c.username),
        )
    ),
    row=_CustomerRow,
)


def lock_betslips(
    connection: Connection, keys: Collection[BetslipKey], *, now: datetime
) -> dict[BetslipKey, LockedBetslip]:
    """Lock the betslips with these keys, and return them with their states. Missing ones are created."""
    wanted = sorted(keys)
    rows: list[_LockedRow] = []
    while len(rows) < len(wanted):  # again only if one was pruned between the first two statements
        existing = set(run(connection, _EXISTING(wanted)))
        write(connection, _CREATE([_NewRow(*key, False, True, now, now, 0) for key in wanted if key not in existing]))
        with pipeline(connection) as reads:
            locked = reads.add(_LOCK(wanted))
            prices = reads.add(_PRICES(wanted))
        rows = locked.rows
    states = stored_states(rows, prices.rows)
    return {
        (row.brand_id, row.game, row.betslip_id): LockedBetslip(
            row.id, row.brand_id, row.betslip_id, row.customer_id, row.is_streamed, states[row.id]
        )
        for row in rows
    }


def choose_streamed(connection: Connection, betslips: Iterable[LockedBetslip]) -> None:
    """Choose which of the betslips whose customer became known are streamed: each id once in its brand."""
    announced = [betslip for betslip in betslips if betslip.is_announced]
    ids = sorted({(betslip.brand_id, betslip.betslip_id) for betslip in announced})
    streamed = set(run(connection, _STREAMED(ids)))
    for betslip in announced:
        id_ = _StreamedRow(betslip.brand_id, betslip.betslip_id)
        betslip.is_streamed = id_ not in streamed
        streamed.add(id_)


def stored_messages(connection: Connection, betslips: Iterable[LockedBetslip]) -> dict[int, list[Message]]:
    """Return the stored messages of betslips by the betslips' row ids, in the order of their arrival."""
    found: dict[int, list[Message]] = {betslip.id: [] for betslip in betslips}
    for row in run(connection, _MESSAGES([(id_,) for id_ in found])):
        found[row.betslip_id].append(stored_message(row))
    return found


def customers_named(connection: Connection, usernames: Iterable[tuple[int, str]]) -> Mapping[tuple[int, str], int]:
    """Return the ids of the customers with these usernames, by brand id and username in lower case."""
    wanted = sorted({(brand_id, folded(username)) for brand_id, username in usernames})
    return {(row.brand_id, folded(row.username)): row.id for row in run(connection, _CUSTOMERS(wanted))}
