"""What a customer's money did, from the ledger (seeds/000)."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.customers.commission import rate_on
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import standings
from wallet_hooks.identity.directory import BrandFacts
from wallet_hooks.ledger import chart
from wallet_hooks.ledger.queries import betting_results


def accounting_info(session: Session, customer: Customer, brand: BrandFacts, *, now: datetime) -> list[dict[str, Any]]:
    """Entries of key, label, unit and value. Values are exact decimals; days are the brand's.

    Profit and loss is what settlements changed; a stake in another currency counts when it is taken. Open stakes in
    other currencies are entries of their own.
    """
    currency, today = customer.currency, brand.booking_day(now)
    standing = standings(session, [customer])[customer.id]
    won = _results(session, customer, since=today - timedelta(days=1))
    amounts = [
        ("current_balance", "Current balance", currency, standing.balance),
        ("open_stakes", "Open stakes", currency, standing.open_stakes),
        *(("open_stakes", "Open stakes", code, stake) for code, stake in sorted(standing.open_stakes_abroad.items())),
        ("today_pl", "Today's P/L", currency, won.get(today, 0)),
        ("yesterday_pl", "Yesterday's P/L", currency, won.get(today - timedelta(days=1), 0)),
        ("credit_limit", "Agent credit limit", currency, customer.credit_limit),
    ]
    entries = [_entry(key, label, unit, money.as_decimal(minor, unit)) for key, label, unit, minor in amounts]
    rate = rate_on(customer.commission_rates, today)
    percent = Decimal(rate[1]) if rate else Decimal(0)
    return [*entries, _entry("commission_rate", "Current commission rate", "%", percent)]


def _results(session: Session, customer: Customer, *, since: date) -> dict[date, int]:
    accounts = [chart.player(customer.id, customer.currency), chart.open_stakes(customer.id, customer.currency)]
    return betting_results(session, accounts, since=since)


def _entry(key: str, label: str, unit: str, value: Decimal) -> dict[str, Any]:
    return {"key": key, "label": label, "unit": unit, "value": value}
