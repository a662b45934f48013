"""Enforcement of bet and loss limits: windows, corrections, concurrency and the number of statements."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.limits.back_office import set_operator_limit, set_rules
from tests.limits.player import GatewayPlayer
from tests.sportsbook.test_statements import place, statements_of
from tests.world import OK, World, bet, error, refund, refused, result
from wallet_hooks import clock
from wallet_hooks.cashier import service as cashier
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.ledger.rates import set_rate


@pytest.mark.parametrize(("type_", "code"), [("bet", "bet_limit_exceeded"), ("loss", "loss_limit_exceeded")])
def test_bet_above_limit_is_refused_and_refusal_is_recorded(world: World, type_: str, code: str) -> None:
    GatewayPlayer(world).set(**{type_: ("day", "25")})
    assert world.place(bet(1), bet(2)) == OK
    assert world.place(bet(3, "5.01")) == error(402, code)
    assert world.wager(3)["refusal"] == code
    assert world.place(bet(4, "5.00")) == OK
    assert world.place(bet(5, "0.00")) == OK, "a stake of 0 exceeds no limit"
    assert world.place(bet(6, "0.01")) == error(402, code)
    assert world.balance() == "75.00"


def test_bets_of_one_request_are_added_up(world: World) -> None:
    GatewayPlayer(world).set(bet=("day", "25"))
    assert world.place(bet(1), bet(2), bet(3)) == refused("bet_limit_exceeded", "3")
    assert world.place(bet(4), bet(5)) == OK


def test_tightest_limit_applies(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(bet=("month", "60"))
    player.set(bet=("week", "10"))
    assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")
    set_operator_limit(world, "bet", "day", 500)
    assert world.place(bet(2, "5.01")) == error(402, "bet_limit_exceeded")
    assert world.place(bet(3, "5.00")) == OK
    binding = player.get()["active"]["bet"]
    assert (binding["amount"], len(binding["all"])) == ("5", 3)


def test_winnings_reduce_loss_usage_but_not_bet_usage(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(bet=("day", "30"), loss=("day", "15"))
    world.place(bet(1))
    world.settle(result(1, "25.00"))
    left = {type_: player.get()["active"][type_]["amount_left"] for type_ in ("bet", "loss")}
    assert left == {"bet": "20", "loss": "30"}
    assert world.place(bet(2, "20.00")) == OK
    assert world.place(bet(3, "0.01")) == error(402, "bet_limit_exceeded")


@pytest.mark.parametrize("how", ["cancel", "void"])
def test_returned_stake_is_not_counted(world: World, how: str) -> None:
    GatewayPlayer(world).set(bet=("day", "10"), loss=("day", "10"))
    world.place(bet(1))
    assert world.place(bet(2)) == error(402, "bet_limit_exceeded")
    assert (world.cancel(refund(1)) if how == "cancel" else world.settle(result(1, "10.00", outcome="void"))) == OK
    assert world.place(bet(3)) == OK
    assert world.differences() == []


def test_correction_replaces_the_counted_return(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(loss=("day", "100"))
    world.place(bet(1))
    for payout, outcome, left in (
        ("25.00", "won", "115"),
        ("0", "lost", "90"),
        ("10.00", "void", "100"),
        ("30", "won", "120"),
    ):
        world.settle(result(1, payout, outcome=outcome))
        assert player.get()["active"]["loss"]["all"][0]["amount_left"] == left
        assert world.differences() == []


@pytest.mark.parametrize(("attribution", "left"), [("placement", "10"), ("cash", "40")])
def test_attribution_decides_the_window_of_a_return(world: World, attribution: str, left: str) -> None:
    with freeze_time("2026-05-01T22:00:00Z") as moment:
        player = GatewayPlayer(world, attribution=attribution)
        player.set(loss=("day", "20"))
        world.place(bet(1))
        moment.move_to("2026-05-02T12:00:00Z")
        world.settle(result(1, "30.00"))
        world.place(bet(2))
        assert player.get()["active"]["loss"]["amount_left"] == left


def test_foreign_currency_stakes_count_their_cost(world: World) -> None:
    with writing(world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.20", now=clock.now())
    GatewayPlayer(world).set(bet=("day", "12"))
    assert world.place(bet(1, "10.01", currency="GBP")) == error(402, "bet_limit_exceeded")
    assert world.place(bet(2, "10.00", currency="GBP")) == OK
    assert world.differences() == []


def test_window_begins_at_the_brands_midnight(world: World) -> None:
    with freeze_time("2026-07-01T22:59:59Z") as moment:
        GatewayPlayer(world).set(bet=("day", "10"))
        assert world.place(bet(1)) == OK
        assert world.place(bet(2)) == error(402, "bet_limit_exceeded")
        moment.move_to("2026-07-01T23:00:00Z")
        assert world.place(bet(3)) == OK


def test_changing_a_limit_does_not_restart_its_window(world: World) -> None:
    with freeze_time("2026-05-04T12:00:00Z") as moment:
        player = GatewayPlayer(world, window="anniversary")
        player.set(bet=("week", "50"))
        assert world.place(bet(1, "50.00")) == OK
        moment.tick(timedelta(days=1))
        quote = player.set(bet=("week", "49.99"))
        assert quote["bet"]["amount_left"] == "0"
        assert world.place(bet(2, "1.00")) == error(402, "bet_limit_exceeded")
        player.set(bet=("week", "51"))
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert world.place(bet(3, "1.01")) == error(402, "bet_limit_exceeded")
        assert world.place(bet(4, "1.00")) == OK
        moment.move_to("2026-05-11T12:00:00Z")
        assert world.place(bet(5, "49.00")) == OK


def test_limits_never_refuse_settlement_refund_or_withdrawal(world: World) -> None:
    for uid in (1, 2, 3):
        world.place(bet(uid))
    GatewayPlayer(world).set(
        bet=("day", "0"), loss=("day", "0"), deposit=("day", "0"), time_limit={"time_frame": "1_min"}
    )
    assert world.place(bet(4)) == error(402, "bet_limit_exceeded")
    assert world.settle(result(1)) == OK
    assert world.settle(result(2, "10.00", outcome="void")) == OK
    assert world.cancel(refund(3)) == OK
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        cashier.move(session, customer, Movement(kind="withdrawal", amount=500, reference="W"), now=clock.now())
    assert world.balance() == "110.00"


def test_thirty_concurrent_bets_against_a_limit_for_ten_take_ten(world: World) -> None:
    GatewayPlayer(world).set(bet=("day", "10"))
    world.app  # noqa: B018 - the app is started before the concurrent part
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda uid: world.place(bet(uid, "1.00")).status, range(30)))
    assert sorted(statuses) == [200] * 10 + [402] * 20
    assert world.balance() == "90.00"
    assert world.differences() == []


def test_limit_lowered_during_concurrent_bets_applies_to_later_bets(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(bet=("day", "100"))
    quote = player.calculate(bet=("day", "20")).body
    uids = iter(range(1000))
    lock, after_update = threading.Lock(), threading.Event()
    taken_late: list[int] = []

    def place_some() -> None:
        for _ in range(12):
            with lock:
                uid = next(uids)
            late = after_update.is_set()
            if world.place(bet(uid, "2.00")).status == 200 and late:
                taken_late.append(uid)

    with ThreadPoolExecutor(5) as pool:
        running = [pool.submit(place_some) for _ in range(4)]
        assert player.update(quote) == (202, "Updated")
        before = 100 - int(float(world.balance()))
        after_update.set()
        for one in running:
            one.result()
    staked = 100 - int(float(world.balance()))
    assert staked <= max(20, before), "no further bet once the limit is below the amount staked"
    assert staked - before <= max(0, 20 - before)
    assert world.place(bet(5000, "2.00")) == error(402, "bet_limit_exceeded")
    assert world.differences() == []


def test_enforcement_uses_a_fixed_number_of_statements(world: World) -> None:
    for number in range(50):
        if number != 7:
            world.customer(str(number))
        set_operator_limit(world, "bet", "week", 10_000, uid=str(number))
    first = statements_of(world, place(range(1)))
    alone = statements_of(world, place(range(1, 2)))
    together = statements_of(world, place(range(10, 110)))
    assert together == alone <= first
    for number in range(50):
        set_operator_limit(world, "time_limit", "session", 60, uid=str(number))
    timed = statements_of(world, place(range(201, 202)))
    assert timed == statements_of(world, place(range(210, 310)))
    assert timed <= alone + 1, "the play session of a customer without a login is stored"


def test_customers_without_limits_cause_no_extra_statements(world: World) -> None:
    statements_of(world, place([7]))
    free = statements_of(world, place([57]))
    set_rules(world, caps={"deposit": {"EUR": "10"}, "bet": {"SEK": "1"}}, defaults_apply=True)
    statements_of(world, place([207]))  # a new connection reads the stored currencies
    assert statements_of(world, place([107])) == free
    set_rules(world, caps={"bet": {"EUR": "100"}}, defaults_apply=True)
    statements_of(world, place([257]))
    assert statements_of(world, place([157])) == free + 3


def test_player_cannot_change_an_operator_limit(world: World) -> None:
    player = GatewayPlayer(world)
    set_operator_limit(world, "bet", "week", 500)
    row = player.get()["active"]["bet"]["all"][0]
    assert (row["amount"], row["set_by"]) == ("5", "operator")
    assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now", "the player's own limit is separate"
    assert player.set(bet=("no_limit", "no_limit"))["bet"]["effective_of"] != "now"
    assert world.place(bet(1, "5.01")) == error(402, "bet_limit_exceeded")
    for act in (player.swap, player.delete):
        assert act("1").status == 400


def test_verify_finds_tampered_usage(world: World) -> None:
    world.place(bet(1))
    changes: list[tuple[str, Any]] = [
        ("UPDATE limit_usage SET staked = staked + 1", "staked by 1"),
        ("UPDATE limit_usage SET staked = staked - 1, paid = 5", "paid by 5"),
        ("DELETE FROM limit_usage", "staked by -1000"),
    ]
    for statement, what in changes:
        with world.engine.begin() as connection:
            connection.execute(text(statement))
        assert [(one.rule, what in one.what) for one in world.differences()] == [
            ("limit usage matches the ledger, wagers and payments", True)
        ]
