"""What customers' streams send: messages of their betslips, and their balances when these change."""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine, func, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.betslips.models import BetslipMessage, CustomerSequence
from wallet_hooks.customers.callers import may_log_in
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import CustomerBalances, balances_of_customers
from wallet_hooks.database import DATABASE_ERRORS, brand_engine, has_brand_schemas, reading
from wallet_hooks.database.bulk import BulkStatement, RowSet, pipeline, run
from wallet_hooks.identity.models import LoginSession
from wallet_hooks.identity.tokens import is_idle
from wallet_hooks.ledger.queries import HELD_ACCOUNTS
from wallet_hooks.web.exact_json import dumps

# Returns a customer's open stakes, in minor units of its currency.
OpenStakes = Callable[[Session, Customer, CustomerBalances], int]
_PAGE = 100
# A page ends after the message with which it has this many bytes.
_PAGE_BYTES = 256 * 1024
T = TypeVar("T")
_LAST = 2**63 - 1


@dataclass(slots=True, eq=False)
class CustomerStream:
    """A customer's stream: the session that it belongs to, and what was sent.

    `since` is the number after which the client wants messages, None for those to come. `seq` is the number of the
    last message that was sent, None before the stream has begun. `has_more` says that there may be more messages than
    were read with the last page. `versions` are those of the customer's accounts when its balance was sent last.
    """

    brand_id: int
    customer_id: int
    token_hash: str
    since: int | None
    seq: int | None = None
    has_more: bool = False
    versions: dict[int, int] | None = None


class _NextMessage(NamedTuple):
    """A message of the page of the stream at a position; `total` are the bytes of the page's bodies up to it."""

    position: int
    seq: int
    type: str
    ts: str | None
    body: str
    received_at: datetime
    total: int


class _LoginRow(NamedTuple):
    token_hash: str
    used_at: datetime
    active: bool
    locked: bool
    expires_at: datetime | None


_positions = RowSet(
    "requested",
    position=BetslipMessage.id,  # of the stream; only the type is the column's
    customer_id=BetslipMessage.customer_id,
    seq=BetslipMessage.seq,
)
# The number with which a stream's page ends, if as many messages are stored after its position.
_page_end = (
    select(BetslipMessage.seq)
    .where(BetslipMessage.customer_id == _positions.c.customer_id, BetslipMessage.seq > _positions.c.seq)
    .order_by(BetslipMessage.seq)
    .limit(1)
    .offset(_PAGE - 1)
    .correlate(_positions)
    .scalar_subquery()
)


def _next_messages(dialect: Any) -> Any:
    # PostgreSQL knows the bytes of a text without reading it; SQLite counts characters.
    size = func.octet_length if dialect is postgresql else func.length
    total = func.sum(size(BetslipMessage.body)).over(partition_by=_positions.c.position, order_by=BetslipMessage.seq)
    stored = [getattr(BetslipMessage, name) for name in _NextMessage._fields[1:-1]]
    page = (
        select(_positions.c.position, *stored, total.label("total"))
        .select_from(
            _positions.join(
                BetslipMessage,
                (BetslipMessage.customer_id == _positions.c.customer_id)
                & (BetslipMessage.seq > _positions.c.seq)
                & (BetslipMessage.seq <= func.coalesce(_page_end, _LAST)),
            )
        )
        .subquery()
    )
    columns = [page.c[name] for name in _NextMessage._fields]
    is_within = page.c.total - size(page.c.body) < _PAGE_BYTES
    return select(*columns).where(is_within).order_by(page.c.position, page.c.seq)


_NEXT_MESSAGES = BulkStatement(_positions, _next_messages, row=_NextMessage)
_tokens = RowSet("requested", LoginSession.token_hash)
_LOGINS = BulkStatement(
    _tokens,
    lambda _: (
        select(
            *(LoginSession.token_hash, LoginSession.used_at),
            *(Customer.active, Customer.locked, Customer.expires_at),
        )
        .select_from(
            _tokens.join(LoginSession, _tokens.matches(LoginSession)).join(
                Customer, Customer.id == LoginSession.customer_id
            )
        )
        .where(~LoginSession.ended)
    ),
    row=_LoginRow,
)


class Feed:
    """Reads what streams send next. `idle` is how long a login session may be unused."""

    def __init__(self, engine: Engine, idle: timedelta, open_stakes: OpenStakes) -> None:
        self._engine = engine
        self._idle = idle
        self._open_stakes = open_stakes

    def begin(self, streams: Sequence[CustomerStream]) -> None:
        """Set where new streams begin: after the number that the client gave, if there is a message with it."""
        self._of_each_brand(streams, self._begin)

    def _begin(self, engine: Engine, streams: Sequence[CustomerStream]) -> None:
        own = CustomerSequence.customer_id.in_({one.customer_id for one in streams})
        with reading(engine) as session:
            rows = session.execute(select(CustomerSequence.customer_id, CustomerSequence.seq).where(own))
            newest = {row.customer_id: row.seq for row in rows}
        for stream in streams:
            last = newest.get(stream.customer_id, 0)
            stream.seq = last if stream.since is None else min(stream.since, last)

    def next_frames(self, streams: Sequence[CustomerStream], *, now: datetime) -> dict[CustomerStream, list[str]]:
        """Return the frames that streams send next, each in order, and advance the streams past them.

        A page of messages of betslips for each; then its balance, if that changed and there are no more messages.
        """
        frames: dict[CustomerStream, list[str]] = {}
        for found in self._of_each_brand(streams, partial(self._frames, now=now)):
            frames |= found
        return frames

    def _frames(
        self, engine: Engine, streams: Sequence[CustomerStream], *, now: datetime
    ) -> dict[CustomerStream, list[str]]:
        frames: dict[CustomerStream, list[str]] = {}
        with reading(engine) as session:
            with pipeline(session.connection()) as reads:
                messages = reads.add(
                    _NEXT_MESSAGES([(position, one.customer_id, one.seq) for position, one in enumerate(streams)])
                )
                accounts = reads.add(HELD_ACCOUNTS([(id_,) for id_ in {one.customer_id for one in streams}]))
            pages = Counter(message.position for message in messages.rows)
            totals = {message.position: message.total for message in messages.rows}
            for position, stream in enumerate(streams):
                stream.has_more = pages[position] >= _PAGE or totals.get(position, 0) >= _PAGE_BYTES
            versions: dict[int, dict[int, int]] = {one.customer_id: {} for one in streams}
            for account in accounts.rows:
                versions[account.holder_id][account.id] = account.version
            changed = [one for one in streams if not one.has_more and one.versions != versions[one.customer_id]]
            texts = self._balance_bodies(session, {one.customer_id for one in changed})
        for message in messages.rows:
            stream = streams[message.position]
            stream.seq = message.seq
            ts = _ts(message.received_at) if message.ts is None else message.ts
            frames.setdefault(stream, []).append(_frame(ts, message.seq, message.type, message.body))
        for stream in changed:
            stream.versions = versions[stream.customer_id]
            frame = _frame(_ts(now), stream.seq, "balance", texts[stream.customer_id])
            frames.setdefault(stream, []).append(frame)
        return frames

    def ended(self, streams: Sequence[CustomerStream], *, now: datetime) -> list[CustomerStream]:
        """Return the streams whose session has ended, or whose customer may not log in any more."""
        found = self._of_each_brand(streams, partial(self._ended, now=now))
        return [stream for ended in found for stream in ended]

    def _ended(self, engine: Engine, streams: Sequence[CustomerStream], *, now: datetime) -> list[CustomerStream]:
        with reading(engine) as session:
            rows = run(session.connection(), _LOGINS([(hash_,) for hash_ in {one.token_hash for one in streams}]))
        alive = {
            row.token_hash
            for row in rows
            if may_log_in(row, now=now) and not is_idle(row.used_at, now=now, idle=self._idle)
        }
        return [one for one in streams if one.token_hash not in alive]

    def _of_each_brand(
        self, streams: Sequence[CustomerStream], read: Callable[[Engine, Sequence[CustomerStream]], T]
    ) -> list[T]:
        """Return what is read for the streams that one engine sees, for each engine.

        A brand that cannot be read is left out, so that the others go on. Raises its error if no other was read.
        """
        if not has_brand_schemas(self._engine):
            return [read(self._engine, streams)]
        found: list[T] = []
        failed: Exception | None = None
        for brand_id in sorted({one.brand_id for one in streams}):
            own = [one for one in streams if one.brand_id == brand_id]
            try:
                found.append(read(brand_engine(self._engine, brand_id), own))
            except DATABASE_ERRORS as error:
                failed = error
        if failed is not None and not found:
            raise failed
        return found

    def _balance_bodies(self, session: Session, customer_ids: Collection[int]) -> dict[int, str]:
        """Return the bodies of balance messages by customer id."""
        customers = session.scalars(select(Customer).where(Customer.id.in_(customer_ids))).all() if customer_ids else ()
        balances = balances_of_customers(session, customers)
        texts = {}
        for customer in customers:
            found, currency = balances[customer.id], customer.currency
            amounts = {"balance": found.balance, "open_stake": self._open_stakes(session, customer, found)}
            body = {name: [currency, money.as_decimal(minor, currency)] for name, minor in amounts.items()}
            texts[customer.id] = dumps(body)
        return texts


def _frame(ts: str, seq: int | None, type_: str, body: str) -> str:
    return f'{{"ts":{ts},"seq":{seq},"data":[["{type_}",{body}]]}}'


def _ts(instant: datetime) -> str:
    """Return an instant as the frames' number: seconds since 1970, with microseconds."""
    whole = int(instant.replace(microsecond=0).timestamp())
    return f"{whole}.{instant.microsecond:06}"
