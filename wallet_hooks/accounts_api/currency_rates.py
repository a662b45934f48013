"""The operation listCurrencyRates: the newest imported reference rates, from any of their currencies."""

from decimal import Decimal
from typing import Any

from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.database import reading
from wallet_hooks.ledger.rates import PIVOT, cross, newest_reference_rates
from wallet_hooks.money import is_currency

_DEFAULT = "GBP"


def list_currency_rates(call: OperationCall) -> list[dict[str, Any]]:
    """Return one unit of a currency in units of each other one that has a rate of the newest imported day."""
    source = call.given.get("from_currency", _DEFAULT)
    with reading(call.engine) as session:
        newest = newest_reference_rates(session)
    in_euros = {PIVOT: "1", **{one.currency: one.rate for one in newest}}
    if not newest and is_currency(source):
        return []
    if source not in in_euros:
        raise AccountsError("INVALID_INPUT_DATA", f"fromCurrency: no rates from {source!r}")
    return [
        {"currencyCode": currency, "rate": Decimal(cross(in_euros[source], rate))}
        for currency, rate in sorted(in_euros.items())
        if currency != source
    ]
