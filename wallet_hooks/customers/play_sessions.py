"""Play sessions: how long a customer has been playing, across logins.

A play session begins with a login, and goes on until a login comes the brand's `session_gap` or longer after the last
bet or call. Where no login is known it begins with the first bet after such a gap, and a first login continues it.

The last call is the last use of a login session, the last bet the newest stake in the ledger. Only where no login is
known, and a time limit binds, are the session's beginning and its last bet kept with each bet (`session_bet_at`).
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.database.bulk import RowSet, find_rows, update_rows
from wallet_hooks.database.writes import Writes
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import stake_instants

# A longer session exceeds every time limit, so its exact beginning does not matter.
_LOOK_BACK = timedelta(days=7)


class PlaySession(NamedTuple):
    """The columns of a customer about its play session, and when the customer was created."""

    id: int
    created_at: datetime
    last_login_at: datetime | None
    session_began_at: datetime | None
    session_bet_at: datetime | None

    @property
    def login_began_at(self) -> datetime | None:
        """When the play session of the last login began, which later logins continue; None without a login."""
        return self.last_login_at and (self.session_began_at or self.last_login_at)

    def begins(self, *, gap: timedelta, now: datetime) -> datetime:
        """Return when the play session of a bet placed now began; `now` where the bet begins one."""
        if self.login_began_at is not None:
            return self.login_began_at
        if self.session_began_at is None or self.session_bet_at is None or now - self.session_bet_at >= gap:
            return now
        return self.session_began_at


class PlaySessionRow(NamedTuple):
    """The play session that a bet continues, of a customer (`id`) without a known login."""

    id: int
    session_began_at: datetime
    session_bet_at: datetime


_requested = RowSet("requested", Customer.id)
PLAY_SESSIONS = find_rows(_requested, Customer, PlaySession)
_kept = RowSet.of("kept", Customer, PlaySessionRow)
_KEEP_PLAY_SESSIONS = update_rows(_kept, Customer)


def play_session_of(customer: Customer) -> PlaySession:
    """Return the play session of a customer that was read as a model."""
    return PlaySession(*(getattr(customer, name) for name in PlaySession._fields))


def add_play_sessions(writes: Writes, sessions_: Iterable[PlaySessionRow]) -> None:
    """Store the play sessions of customers whose bets were taken."""
    writes.add(_KEEP_PLAY_SESSIONS(list(sessions_)))


def record_login(session: Session, customer: Customer, *, now: datetime) -> None:
    """Continue or begin the play session of a customer who logs in. The caller holds the customer's lock."""
    gap = policy_of(brand_by_id(session, customer.brand_id).policy).session_gap
    if customer.last_login_at is None:
        began, last_bet = _running_session_of_bets(session, customer, gap=gap, now=now)
    else:
        began, last_bet = play_session_of(customer).login_began_at, next(_stakes(session, customer), None)
    used = (last_bet, customer.last_login_at, login_sessions.last_use(session, customer_id=customer.id))
    goes_on = any(instant is not None and now - instant < gap for instant in used)
    customer.session_began_at = began if began is not None and goes_on else now
    customer.last_login_at, customer.session_bet_at = now, None


def record_bets(session: Session, customer: Customer, *, gap: timedelta, now: datetime) -> None:
    """Store the play session of a customer without a login, before a time limit binds. The caller holds its lock."""
    if customer.last_login_at is None:
        began, last = _session_of_bets(session, customer, gap=gap, now=now)
        customer.session_began_at, customer.session_bet_at = began, last


def _running_session_of_bets(
    session: Session, customer: Customer, *, gap: timedelta, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Return when the bets began that a first login continues, and the last of them; (None, None) after a gap."""
    kept = customer.session_bet_at
    if kept is not None and now - kept < gap:
        return customer.session_began_at, kept
    began, last = _session_of_bets(session, customer, gap=gap, now=now)
    return (None, None) if last is None or now - last >= gap else (began, last)


def _session_of_bets(
    session: Session, customer: Customer, *, gap: timedelta, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """Return when the newest session of bets began and its last bet; (None, None) without bets."""
    bets = _stakes(session, customer)
    began = last = next(bets, None)
    for bet in bets:
        if began is None or began - bet >= gap or now - began >= _LOOK_BACK:
            break
        began = bet
    return began, last


def _stakes(session: Session, customer: Customer) -> Iterator[datetime]:
    return stake_instants(session, chart.player(customer.id, customer.currency))
