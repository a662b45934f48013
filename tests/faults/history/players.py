"""The customers of a run, with their logins, and the cashier's token and application key that their calls need."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from tests.world import World
from wallet_hooks import clock
from wallet_hooks.accounts_api.applications import create_application, create_versions
from wallet_hooks.customers import groups
from wallet_hooks.customers.service import opening_reference
from wallet_hooks.database import writing
from wallet_hooks.identity import api_tokens, login_sessions

CUSTOMERS = 20
OPENING = 100_000_000  # minor units: more than a run can lose
_LOGIN = timedelta(days=365)  # of which the clocks that are set forward leave enough


class HistoryPlayer(NamedTuple):
    """A customer with `OPENING`. `token` is its login's."""

    uid: str
    username: str
    token: str


class Players(NamedTuple):
    customers: Sequence[HistoryPlayer]
    cashier_token: str
    application_key: str

    @property
    def openings(self) -> dict[str, int]:
        """The amounts that the customers were created with, by the references of their transactions."""
        return {opening_reference("acme", one.uid): OPENING for one in self.customers}


def create_players(world: World) -> Players:
    """Create brand `acme`, its provider, and the customers."""
    world.brand()
    world.provider()
    uids = [str(number) for number in range(1, CUSTOMERS + 1)]
    for uid in uids:
        world.customer(uid, balance=f"{OPENING // 100}.00")
    now = clock.now()
    with writing(world.engine) as session:
        found = [groups.customer_by_username(session, f"acme{uid}") for uid in uids]
        application = create_application(session, found[0].id, "history", limit=10, now=now)
        return Players(
            customers=[
                HistoryPlayer(
                    one.uid,
                    one.username,
                    login_sessions.start(session, customer_id=one.id, source="", now=now, idle=_LOGIN),
                )
                for one in found
            ],
            cashier_token=api_tokens.create(session, name="history", role="cashier", brand_id=None, now=now),
            application_key=create_versions(session, application)[0].key,
        )
