"""Helpers for tests that add BTC, which is not in ISO 4217, to WALLET_HOOKS_CURRENCIES and remove it."""

from tests.world import OK, Item, World, bet, result
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.ledger.rates import set_rate

BTC = {"BTC": 8}
LISTED = {"WALLET_HOOKS_CURRENCIES": "BTC=8"}
SIX = {"WALLET_HOOKS_CURRENCIES": "BTC=6"}
OF_BEA = ["--brand", "acme", "--uid", "8"]


def bitcoins(uid: int, amount: str = "0.00000010") -> Item:
    return bet(uid, amount, user=8, currency="BTC")


def won(uid: int, payout: str = "0.00000025") -> Item:
    return result(uid, payout, user="8", currency="BTC")


def list_bitcoin(world: World) -> None:
    """Add BTC; give customer 8 1.00000000 BTC and three bets of 0.00000010 BTC: 1 and 2 are open, 3 is settled."""
    world.configure(currencies=BTC)
    assert world.app
    world.customer("8", balance="1", currency="BTC")
    with writing(world.engine) as session:
        set_rate(session, source="EUR", target="BTC", rate="0.00001", now=clock.now())
    for uid in (1, 2, 3):
        assert world.place(bitcoins(uid)) == OK
    assert world.settle(won(3)) == OK


def unlist_bitcoin(world: World) -> None:
    """Remove BTC from the settings and restart the application."""
    world.configure(currencies={})
    assert world.app
