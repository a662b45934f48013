"""Whatever happens to a customer's money, the account API, the statement and the ledger agree."""

from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.accounts_api.client import AccountClient
from tests.desk import Desk
from tests.world import bet, refund, result
from wallet_hooks.customers.queries import balances_of_customers, customer_by_uid
from wallet_hooks.database import reading

_CENTS = st.integers(1, 6000).map(lambda cents: Decimal(cents) / 100)
_BETS = st.integers(0, 4)
_STEPS = st.one_of(
    st.tuples(st.just("bet"), _BETS, _CENTS),
    st.tuples(st.just("settle"), _BETS, _CENTS | st.just(Decimal("0.00"))),
    st.tuples(st.just("cancel"), _BETS),
    st.tuples(st.just("deposit"), _CENTS),
    st.tuples(st.just("transfer"), st.sampled_from([("UK", "AUSTRALIAN"), ("AUSTRALIAN", "UK")]), _CENTS),
)


class AccountHolder:
    """A customer with 100.00 EUR and a credit limit of 20.00, whose steps are numbered over all examples."""

    def __init__(self, desk: Desk, uid: str) -> None:
        self.client = AccountClient(desk)
        self.world = desk.world
        self.uid = uid
        self.name = f"acme{uid}"
        self.world.customer(uid, credit_limit="20.00")
        self.key, _ = self.client.new_keys(self.name, self.name)

    def act(self, number: int, step: Any) -> None:
        match step:
            case ("bet", slot, amount):
                self.world.place(bet(f"{self.uid}-{slot}", str(amount), user=self.uid))
            case ("settle", slot, payout):
                self.world.settle(result(f"{self.uid}-{slot}", str(payout), user=self.uid))
            case ("cancel", slot):
                self.world.cancel(refund(f"{self.uid}-{slot}", user=self.uid))
            case ("deposit", amount):
                self.world.deposit(str(amount), uid=self.uid, reference=f"{self.uid}-{number}")
            case ("transfer", (source, target), amount):
                wallets = {"from": source, "to": target, "amount": amount}
                code = self.client.code("transferFunds", who=self.name, key=self.key, **wallets)
                assert code in (None, "WALLET_TRANSFER_ERROR")

    def check(self) -> None:
        with reading(self.world.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid=self.uid)
            held = balances_of_customers(session, [customer])[customer.id]
        funds = self.client.ok("getAccountFunds", who=self.name, key=self.key)
        assert funds["availableToBetBalance"] * 100 == held.balance + customer.credit_limit
        assert funds["exposure"] * 100 == -held.open_stakes
        for wallet, own in (("UK", Decimal(held.balance) / 100), ("AUSTRALIAN", None)):
            given = {"who": self.name, "key": self.key, "wallet": wallet}
            items = self.client.ok("getAccountStatement", **given)["accountStatement"]
            balance = Decimal(0)
            for item in items:
                balance += item["amount"]
                assert item["balance"] == balance
            shown = self.client.ok("getAccountFunds", **given)["availableToBetBalance"]
            assert balance == (own if own is not None else shown)


@settings(max_examples=25)
@given(steps=st.lists(_STEPS, max_size=12))
def test_funds_and_statement_agree_with_the_ledger(desks: list[Desk], steps: list[Any]) -> None:
    for desk in desks:
        player = AccountHolder(desk, str(1000 + desk.world.count("customer")))
        for number, step in enumerate(steps):
            player.act(number, step)
        player.check()
        assert desk.world.differences() == []
