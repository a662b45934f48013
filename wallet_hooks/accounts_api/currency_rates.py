"""The operation listCurrencyRates: the rates that bets are converted with, between imported currencies."""

from decimal import Decimal
from typing import Any

from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.database import reading
from wallet_hooks.ledger.rates import PIVOT, newest_reference_rates, read_rates
from wallet_hooks.money import is_currency

_DEFAULT = "GBP"


def list_currency_rates(call: OperationCall) -> list[dict[str, Any]]:
    """Return one unit of a currency in units of each other one that has a rate of the newest imported day.

    A pair that the operator set has the rate that was set.
    """
    source = call.given.get("from_currency", _DEFAULT)
    with reading(call.engine) as session:
        newest = newest_reference_rates(session)
        currencies = {PIVOT, *(one.currency for one in newest)}
        if not newest or source not in currencies:
            if is_currency(source):
                return []
            raise AccountsError("INVALID_INPUT_DATA", f"fromCurrency: no rates from {source!r}")
        pairs = [(source, currency) for currency in sorted(currencies - {source})]
        rates = read_rates(session, pairs)
    return [{"currencyCode": currency, "rate": Decimal(rate)} for (_, currency), rate in rates.items()]
