"""The posting rules: which accounts each event debits and credits. Pure functions; amounts in minor units.

"Home" is the customer's currency. For a bet in it, `cost` equals the stake; for a bet in another currency, `cost` is
the stake in the home currency, and equity:conversion balances each of the two currencies.
"""

from typing import NamedTuple

from wallet_hooks.ledger import chart
from wallet_hooks.ledger.journal import AccountName, Line


class Stake(NamedTuple):
    """A bet's stake for posting: `amount` in the bet's `currency`, `cost` in the customer's `home_currency`."""

    customer_id: int
    brand: str
    game: str
    currency: str
    amount: int
    home_currency: str
    cost: int


def deposited(customer_id: int, method: str, currency: str, amount: int) -> tuple[Line, ...]:
    return _move(chart.payment_provider(method, currency), chart.player(customer_id, currency), amount)


def withdrawn(customer_id: int, method: str, currency: str, amount: int) -> tuple[Line, ...]:
    return _move(chart.player(customer_id, currency), chart.payment_provider(method, currency), amount)


def adjusted(customer_id: int, brand: str, currency: str, amount: int) -> tuple[Line, ...]:
    """Return the lines of an adjustment: a positive amount is credited to the customer, a negative one debited."""
    return _move(chart.adjustments_expense(brand, currency), chart.player(customer_id, currency), amount)


def transferred(customer_id: int, currency: str, source: str, target: str, amount: int) -> tuple[Line, ...]:
    """Return the lines of a transfer between two wallets of a customer."""
    return _move(chart.player(customer_id, currency, source), chart.player(customer_id, currency, target), amount)


def staked(stake: Stake) -> tuple[Line, ...]:
    return _from_player(stake, chart.open_stakes(stake.customer_id, stake.currency), stake.amount, stake.cost)


def returned(stake: Stake) -> tuple[Line, ...]:
    """Return the lines of a void or a cancel: exactly the stake and the cost that were taken are returned."""
    return _to_player(stake, chart.open_stakes(stake.customer_id, stake.currency), stake.amount, stake.cost)


def settled(stake: Stake, payout: int, home_payout: int) -> tuple[Line, ...]:
    """Return the lines of a settlement: `payout` in the bet's currency, `home_payout` in the customer's."""
    closed = _move(
        chart.open_stakes(stake.customer_id, stake.currency),
        chart.stakes_income(stake.brand, stake.game, stake.currency),
        stake.amount,
    )
    if not payout:
        return closed
    winnings = chart.winnings_expense(stake.brand, stake.game, stake.currency)
    return closed + _to_player(stake, winnings, payout, home_payout)


def commissioned(stake: Stake, amount: int) -> tuple[Line, ...]:
    """Return the lines of commission on net winnings, in the customer's currency; no lines if the amount is 0."""
    wallet = chart.player(stake.customer_id, stake.home_currency)
    return _move(wallet, chart.commission_income(stake.brand, stake.home_currency), amount) if amount else ()


def reversed_(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return the lines of a reversal: the same accounts with negated amounts."""
    return tuple(Line(account, -amount) for account, amount in lines)


def _move(debit: AccountName, credit: AccountName, amount: int) -> tuple[Line, ...]:
    return (Line(debit, amount), Line(credit, -amount))


def _from_player(stake: Stake, target: AccountName, amount: int, cost: int) -> tuple[Line, ...]:
    wallet = chart.player(stake.customer_id, stake.home_currency)
    if stake.currency == stake.home_currency:
        return _move(wallet, target, amount)
    at_home = _move(wallet, chart.conversion(stake.home_currency), cost)
    return at_home + _move(chart.conversion(stake.currency), target, amount)


def _to_player(stake: Stake, source: AccountName, amount: int, proceeds: int) -> tuple[Line, ...]:
    return reversed_(_from_player(stake, source, amount, proceeds))
