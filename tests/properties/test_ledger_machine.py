"""A stateful test of callbacks on a database: balances match a model, and the ledger's rules hold."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.world import World, bet, refund, result

UIDS = st.integers(1, 4)
AMOUNTS = st.sampled_from(["0", "5.00", "10.00", "60.00"])


class LedgerMachine(RuleBasedStateMachine):
    """The model applies one delivery of each request per bet; amounts are in cents."""

    world: World

    @initialize()
    def start(self) -> None:
        self.funds = 100_00
        self.taken: dict[int, int] = {}
        self.refused: set[int] = set()
        self.cancelled: set[int] = set()
        self.payouts: dict[int, list[int]] = {}
        self.run = World.runs = getattr(World, "runs", 0) + 1  # type: ignore[attr-defined]
        self.world.customer(str(self.run))

    def key(self, uid: int) -> str:
        return f"{self.run}-{uid}"

    @rule(uid=UIDS, amount=AMOUNTS, copies=st.integers(1, 2))
    def place(self, uid: int, amount: str, copies: int) -> None:
        cents = int(float(amount) * 100)
        for _ in range(copies):
            reply = self.world.place(bet(self.key(uid), amount, user=str(self.run)))
            if uid in self.taken:
                assert reply.status == (200 if self.taken[uid] == cents else 409)
            elif uid in self.cancelled:
                assert reply.status == 402
            elif uid not in self.refused:
                fits = cents <= self.funds or not cents
                assert reply.status == (200 if fits else 402)
                if fits:
                    self.taken[uid] = cents
                    self.funds -= cents
                else:
                    self.refused.add(uid)

    @rule(uid=UIDS)
    def cancel(self, uid: int) -> None:
        reply = self.world.cancel(refund(self.key(uid), user=str(self.run)))
        if uid in self.payouts:
            assert reply.status == 409
            return
        assert reply.status == 200
        if uid in self.taken and uid not in self.cancelled:
            self.funds += self.taken[uid]
        if uid not in self.refused:
            self.cancelled.add(uid)

    @rule(uid=UIDS, payout=st.sampled_from([0, 500, 2500]))
    def settle(self, uid: int, payout: int) -> None:
        reply = self.world.settle(result(self.key(uid), f"{payout / 100:.2f}", user=str(self.run)))
        if uid not in self.taken and uid not in self.refused and uid not in self.cancelled:
            assert reply.status == 404
        elif uid in self.refused or uid in self.cancelled:
            assert reply.status == 409
        else:
            history = self.payouts.setdefault(uid, [])
            if history and payout in history[:-1] and payout != history[-1]:
                assert reply.status == 409
                return
            assert reply.status == 200
            if not history or history[-1] != payout:
                self.funds += payout - (history[-1] if history else 0)
                history.append(payout)

    @precondition(lambda self: hasattr(self, "run"))
    @invariant()
    def balance_is_the_model(self) -> None:
        whole, cents = divmod(abs(self.funds), 100)
        assert self.world.balance(str(self.run)) == f"{'-' if self.funds < 0 else ''}{whole}.{cents:02d}"
        unsettled = {
            uid: cents for uid, cents in self.taken.items() if uid not in self.payouts and uid not in self.cancelled
        }
        assert self.world.open_stakes(str(self.run)) == f"{sum(unsettled.values()) / 100:.2f}"

    def teardown(self) -> None:
        assert self.world.differences() == []


@pytest.fixture
def machine(empty_world: World) -> type[LedgerMachine]:
    empty_world.brand()
    empty_world.provider()
    return type("LedgerOnThisEngine", (LedgerMachine,), {"world": empty_world})


def test_any_history_of_callbacks_matches_the_model(machine: type[LedgerMachine]) -> None:
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=20, deadline=None))
