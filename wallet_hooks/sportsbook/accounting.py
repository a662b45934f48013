"""A customer's accounting figures, from the ledger and its open bets (docs/protocols/customers.md)."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.commission import rate_on
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import CustomerBalances, balances_of_customers
from wallet_hooks.database.bulk import run
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import POSTED_LINES, betting_entries, posted_transactions
from wallet_hooks.sportsbook.messages import BetKey, BetStep
from wallet_hooks.sportsbook.models import Wager


def accounting_info(session: Session, customer: Customer, brand: BrandFacts, *, now: datetime) -> list[dict[str, Any]]:
    """Entries of key, label, unit and value, each key once. Values are exact decimals; days are the brand's."""
    currency, today = customer.currency, brand.booking_day(now)
    yesterday = today - timedelta(days=1)
    balances = balances_of_customers(session, [customer])[customer.id]
    results = betting_results(session, customer, since=yesterday)
    amounts = [
        ("current_balance", "Current balance", balances.balance),
        ("open_stakes", "Open stakes", cost_of_open_stakes(session, customer, balances)),
        ("today_pl", "Today's P/L", results.get(today, 0)),
        ("yesterday_pl", "Yesterday's P/L", results.get(yesterday, 0)),
        ("credit_limit", "Agent credit limit", customer.credit_limit),
    ]
    entries = [_entry(key, label, currency, money.as_decimal(minor, currency)) for key, label, minor in amounts]
    rate = rate_on(customer.commission_rates, today)
    percent = Decimal(rate[1]) if rate else Decimal(0)
    return [*entries, _entry("commission_rate", "Current commission rate", "%", percent)]


def betting_results(session: Session, customer: Customer, *, since: date) -> dict[date, int]:
    """Return profit and loss by accounting day from `since` on, in minor units of the customer's currency.

    Only settlements count. A stake in another currency counts, once it is settled, as a loss of its cost when taken.
    """
    results: dict[date, int] = {}
    moved_abroad: list[tuple[date, str, int]] = []
    for entry in betting_entries(session, holder_id=customer.id, since=since):
        if entry.account.currency == customer.currency:
            results[entry.booked_on] = results.get(entry.booked_on, 0) - entry.amount
        else:
            bet = BetKey.of_reference(entry.reference)
            assert bet is not None, "the entry is of a bet"
            moved_abroad.append((entry.booked_on, BetStep(bet, "stake").reference, entry.amount))
    costs = dict(_costs(session, customer, {stake for _, stake, _ in moved_abroad}))
    for day, stake, amount in moved_abroad:
        results[day] = results.get(day, 0) + (costs[stake] if amount < 0 else -costs[stake])
    return results


def _costs(session: Session, customer: Customer, stakes: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the cost of stakes to the customer's wallet, by transaction reference."""
    wallet = chart.player(customer.id, customer.currency)
    rows = run(session.connection(), POSTED_LINES([(reference,) for reference in sorted(stakes)]))
    for reference, posted in posted_transactions(rows).items():
        yield reference, sum(amount for account, amount in posted.lines if account == wallet)


def cost_of_open_stakes(session: Session, customer: Customer, balances: CustomerBalances) -> int:
    """Return open stakes in minor units of the customer's currency; those in other currencies count at their cost."""
    if not balances.open_stakes_abroad:
        return balances.open_stakes  # the costs are read from all bets of the customer
    query = select(func.sum(Wager.cost)).where(
        Wager.customer_id == customer.id, Wager.status == "open", Wager.currency != customer.currency
    )
    return balances.open_stakes + int(session.scalar(query) or 0)


def _entry(key: str, label: str, unit: str, value: Decimal) -> dict[str, Any]:
    return {"key": key, "label": label, "unit": unit, "value": value}
