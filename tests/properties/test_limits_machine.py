"""Stateful test of limits: in any order of calls, no limit loosens early and usage agrees with the ledger."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
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

from tests.limits.player import GatewayPlayer
from tests.world import World, bet, refund, result
from wallet_hooks.identity.directory import BrandFacts, read_directory
from wallet_hooks.identity.policy import policy_of
from wallet_hooks.limits.windows import window_at

_NONE = 10**9
FRAMES = ("day", "week", "month")
changes = st.tuples(st.sampled_from(["day", "week", "month"]), st.sampled_from(["0", "5", "20", "35", "140", "700"]))
requests = changes | st.tuples(st.sampled_from(["day", "week", "month", "no_limit"]), st.just("no_limit"))


def caps(active: dict[str, str]) -> dict[str, int]:
    """Return the limit of each frame, `_NONE` where there is none."""
    return {frame: int(active.get(frame, _NONE)) for frame in FRAMES}


class LimitsMachine(RuleBasedStateMachine):
    """A player, the clock and bets, with the test's own record of what was requested when."""

    world: World
    confirm: bool

    @initialize()
    def begin(self) -> None:
        # Shortly before the night in which London's clocks go forward. Each example has its own customer.
        self.frozen = freeze_time(datetime(2026, 3, 27, 12, tzinfo=UTC))
        self.moment = self.frozen.start()
        self.uid = str(next(_uids))
        self.world.customer(self.uid, balance="100000.00")
        self.player = GatewayPlayer(self.world, self.uid, confirm_required=self.confirm)
        self.requested: list[tuple[str, datetime]] = []
        self.cap = caps({})
        self.swapped = False
        self.quotes: list[dict[str, Any]] = []
        self.bets: list[tuple[str, int]] = []

    def teardown(self) -> None:
        if hasattr(self, "frozen"):
            self.frozen.stop()

    def now(self) -> datetime:
        return datetime.now(UTC)

    @rule(change=requests)
    def calculate(self, change: tuple[str, str]) -> None:
        self.quotes.append(self.player.calculate(bet=change).body)

    @precondition(lambda self: self.quotes)
    @rule(data=st.data())
    def update(self, data: st.DataObject) -> None:
        quote = data.draw(st.sampled_from(self.quotes[-3:]))
        before = self.by_frame()
        reply = self.player.update(quote)
        assert reply.status in (202, 400)
        frame = quote["bet"]["time_frame"]
        for other in FRAMES:
            if frame not in (other, "no_limit"):
                assert self.by_frame().get(other) == before.get(other), "another frame is never changed"
        if reply.status == 202:
            self.requested.append((frame, self.now()))

    def by_frame(self) -> dict[str, Any]:
        """Return the active and the pending limits of each frame."""
        shown = self.player.get()
        pending = shown["pending"].get("bet")
        rows = [] if pending is None else pending.get("all", [pending])
        return {
            frame: (
                [
                    (row["amount"], row["last_changed"])
                    for row in shown["active"]["bet"]["all"]
                    if row["time_frame"] == frame
                ],
                [(row["amount"], row["row_id"]) for row in rows if row["time_frame"] == frame],
            )
            for frame in FRAMES
        }

    @rule(which=st.integers(0, 2), act=st.sampled_from(["swap", "delete"]))
    def swap_or_delete(self, which: int, act: str) -> None:
        pending = self.player.get()["pending"].get("bet")
        if pending is None:
            return
        rows = pending.get("all", [pending])
        row = rows[which % len(rows)]
        reply = getattr(self.player, act)(row["row_id"])
        if act == "swap":
            ready = datetime.fromisoformat(row["start_time_at"]) <= self.now()
            assert reply.status == (200 if ready else 400)
            self.swapped = reply.status == 200
        else:
            assert reply.status == 204

    @rule(hours=st.sampled_from([1, 12, 23, 24, 48, 24 * 8]))
    def wait(self, hours: int) -> None:
        self.moment.tick(timedelta(hours=hours))

    @rule(euros=st.integers(1, 30))
    def place(self, euros: int) -> None:
        uid = f"{self.uid}-{len(self.bets)}"
        left = self.player.get()["active"]["bet"]["amount_left"]
        reply = self.world.place(bet(uid, f"{euros}.00", user=int(self.uid)))
        assert (reply.status == 200) == (left == "undefined" or euros <= int(left))
        if reply.status == 200:
            self.bets.append((uid, euros))

    @precondition(lambda self: self.bets)
    @rule(data=st.data(), end=st.sampled_from(["cancel", "won", "lost", "void"]))
    def finish(self, data: st.DataObject, end: str) -> None:
        uid, euros = data.draw(st.sampled_from(self.bets))
        payout = {"won": "50.00", "lost": "0", "void": f"{euros}.00"}
        if end == "cancel":
            self.world.cancel(refund(uid, user=self.uid))
        else:
            self.world.settle(result(uid, payout[end], user=self.uid, outcome=end))

    @invariant()
    def no_limit_loosens_early(self) -> None:
        if not hasattr(self, "player"):
            return
        cap = caps(self.player.active())
        for frame in FRAMES:
            if cap[frame] > self.cap[frame]:
                requested = [at for other, at in self.requested if other in (frame, "no_limit")]
                assert any(self.now() - at >= timedelta(hours=24) for at in requested)
                assert self.swapped or not self.confirm
        self.cap, self.swapped = cap, False

    @invariant()
    def usage_agrees_with_the_ledger_and_windows_follow_the_brand(self) -> None:
        if hasattr(self, "player"):
            assert self.world.differences() == []
            shown = self.player.get()["active"]["bet"]["all"]
            brand: BrandFacts = read_directory(self.world.engine).brands["acme"]
            for row in shown:
                window = window_at(
                    row["time_frame"], self.now(), brand, policy_of(brand.policy), anchored_at=self.now()
                )
                assert row["start_time_at"] == window.start.isoformat()


_uids: Iterator[int] = iter(range(100, 10_000))


@pytest.mark.parametrize("confirm", [True, False])
def test_no_sequence_of_calls_loosens_a_limit_early(world: World, confirm: bool) -> None:
    machine = type("Machine", (LimitsMachine,), {"world": world, "confirm": confirm})
    run_state_machine_as_test(machine, settings=settings(max_examples=6, stateful_step_count=25))
