"""The customer's money: its two wallets, transfers between them, and its details."""

from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from wallet_hooks import clock, money
from wallet_hooks.accounts_api.calls import OperationCall
from wallet_hooks.accounts_api.errors import AccountsError
from wallet_hooks.cashier.transfers import transfer
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.profiles import profile_of
from wallet_hooks.customers.queries import balances_of_customers, lock_customer
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.ledger import chart
from wallet_hooks.sportsbook.accounting import cost_of_open_stakes


class Funds(NamedTuple):
    """A customer's money in minor units of its currency.

    `wallets` are own money by wallet, negative where credit is used. `exposure` is the cost of open bets, 0 or less.
    """

    wallets: dict[str, int]
    credit_limit: int
    exposure: int

    def available(self, wallet: str) -> int:
        """Return what can be bet from a wallet, credit included; transfers take own money only."""
        return self.wallets[wallet] + (self.credit_limit if wallet == chart.BETTING_WALLET else 0)


def funds_of(session: Session, customer: Customer) -> Funds:
    """Return a customer's money as the ledger has it."""
    found = balances_of_customers(session, [customer])[customer.id]
    return Funds(
        wallets={chart.BETTING_WALLET: found.balance, chart.SECOND_WALLET: found.second_wallet},
        credit_limit=customer.credit_limit,
        exposure=-cost_of_open_stakes(session, customer, found),
    )


def get_account_funds(call: OperationCall) -> dict[str, Any]:
    """Return what the caller can bet with, its exposure, and its wallet's other figures."""
    wallet = call.given.get("wallet", chart.BETTING_WALLET)
    with reading(call.engine) as session:
        customer = session.get_one(Customer, call.customer.id)
        funds, profile = funds_of(session, customer), profile_of(session, customer.id)
    exposure = funds.exposure if wallet == chart.BETTING_WALLET else 0
    return {
        "availableToBetBalance": money.as_decimal(funds.available(wallet), customer.currency),
        "exposure": money.as_decimal(exposure, customer.currency),
        "retainedCommission": money.as_decimal(0, customer.currency),  # settlements take commission at once
        "exposureLimit": money.as_decimal(0, customer.currency),  # there is no such limit here
        "discountRate": Decimal(profile.discount_rate),
        "pointsBalance": profile.points_balance,
        "wallet": wallet,
    }


def transfer_funds(call: OperationCall) -> dict[str, str]:
    """Move own money between the caller's wallets. Each call is a transfer of its own."""
    source, target = call.given["source"], call.given["target"]
    if source == target:
        raise AccountsError("INVALID_INPUT_DATA", "to: another wallet than from is required")
    with writing(call.engine) as session:
        customer = lock_customer(session, call.customer.id)
        amount = money.parse_number(call.given["amount"], customer.currency, maximum=money.MAX_AMOUNT)
        if amount == 0:
            raise AccountsError("INVALID_INPUT_DATA", "amount: above 0 is required")
        try:
            transaction_id = transfer(
                session,
                customer,
                source=source,
                target=target,
                amount=amount,
                reference=call.reference,
                now=clock.now(),
            )
        except RefusedError as error:
            raise AccountsError("WALLET_TRANSFER_ERROR", str(error)) from error
    return {"transactionId": str(transaction_id)}


def get_account_details(call: OperationCall) -> dict[str, Any]:
    """Return the caller's details; what is not known is left out."""
    with reading(call.engine) as session:
        customer = session.get_one(Customer, call.customer.id)
        profile = profile_of(session, customer.id)
    details = {
        "currencyCode": customer.currency,
        "firstName": profile.first_name,
        "lastName": profile.last_name,
        "localeCode": profile.locale,
        "region": profile.region,
        "timezone": profile.timezone,
        "discountRate": Decimal(profile.discount_rate),
        "pointsBalance": profile.points_balance,
        "countryCode": profile.country,
    }
    return {name: value for name, value in details.items() if value is not None}
