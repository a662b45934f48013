"""Play sessions: how long a customer has been playing, across logins.

A play session begins with a login, and goes on until a login comes the brand's `session_gap` or longer after the last
bet or call. Where no login is known it begins with the first bet after such a gap.

The last call is the last use of a login session, the last bet the newest stake in the ledger. Only where no login is
known, and a time limit binds, are the session's beginning and its last bet kept with each bet (`session_bet_at`).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from wallet_hooks.customers.models import Customer
from wallet_hooks.database import RowStatement, as_instant
from wallet_hooks.identity import sessions
from wallet_hooks.identity.directory import brand_by_id
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import stake_instants

PLAY_SESSIONS = RowStatement(
    "SELECT c.id, c.created_at, c.last_login_at, c.session_began_at, c.session_bet_at"
    " FROM {asked} JOIN customer c ON c.id = asked.id",
    asked={"id": "bigint"},
)
KEEP_PLAY_SESSIONS = RowStatement(
    "UPDATE customer SET session_began_at = kept.began_at, session_bet_at = kept.bet_at FROM {kept}"
    " WHERE customer.id = kept.id",
    kept={"id": "bigint", "began_at": "timestamptz", "bet_at": "timestamptz"},
)
# A session as long as this is over under any time limit; when exactly it began no longer matters.
_LOOK_BACK = timedelta(days=7)


class PlaySession(NamedTuple):
    """What a customer's row says of its play session, and since when there is the customer."""

    created_at: datetime
    last_login_at: datetime | None
    began_at: datetime | None
    bet_at: datetime | None

    def begins(self, *, gap: timedelta, now: datetime) -> datetime:
        """When the session began that a bet of now is in: now where it begins one."""
        if self.last_login_at is not None:
            return self.began_at or self.last_login_at
        if self.began_at is None or self.bet_at is None or now - self.bet_at >= gap:
            return now
        return self.began_at


def play_session_of(customer: Customer) -> PlaySession:
    """The facts of a row that was read as a model."""
    return PlaySession(customer.created_at, customer.last_login_at, customer.session_began_at, customer.session_bet_at)


def play_sessions(rows: Iterable[Sequence[Any]]) -> dict[int, PlaySession]:
    """Rows of PLAY_SESSIONS by customer id."""
    return {
        id_: PlaySession(as_instant(created_at), *(instant and as_instant(instant) for instant in instants))
        for id_, created_at, *instants in rows
    }


def remember_login(session: Session, customer: Customer, *, now: datetime) -> None:
    """Go on with the play session of a customer who logs in, or begin one. The caller holds the customer's lock."""
    gap = policy_of(brand_by_id(session, customer.brand_id).policy).session_gap
    is_first = customer.last_login_at is None
    last_bet = customer.session_bet_at if is_first else next(_stakes(session, customer), None)
    used = (last_bet, customer.last_login_at, sessions.last_use(session, customer_id=customer.id))
    goes_on = any(instant is not None and now - instant < gap for instant in used)
    began = customer.session_began_at or customer.last_login_at
    customer.session_began_at = began if began is not None and goes_on else now
    customer.last_login_at, customer.session_bet_at = now, None


def remember_bets(session: Session, customer: Customer, *, gap: timedelta, now: datetime) -> None:
    """Find the play session of a customer without a login, before a time limit binds it. It is locked by the caller."""
    if customer.last_login_at is None:
        began, last = _session_of_bets(session, customer, gap=gap, now=now)
        customer.session_began_at, customer.session_bet_at = began, last


def _session_of_bets(
    session: Session, customer: Customer, *, gap: timedelta, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """When the newest session of bets began, and its last bet; None for both where there was no bet."""
    bets = _stakes(session, customer)
    began = last = next(bets, None)
    for bet in bets:
        if began is None or began - bet >= gap or now - began >= _LOOK_BACK:
            break
        began = bet
    return began, last


def _stakes(session: Session, customer: Customer) -> Iterator[datetime]:
    return stake_instants(session, chart.player(customer.id, customer.currency))
