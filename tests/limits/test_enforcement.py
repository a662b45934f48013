"""Limits hold: in every request and group, under concurrency, and for nothing that is owed to the player."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.limits.player import Player
from tests.sportsbook.test_statements import place, statements_of
from tests.world import OK, World, bet, error, refund, result
from wallet_hooks import clock
from wallet_hooks.cashier import service as cashier
from wallet_hooks.cashier.models import Payment
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.ledger.service import set_rate
from wallet_hooks.limits import operators
from wallet_hooks.limits.service import Standing, player_of


def operator_sets(world: World, type_: str, frame: str, amount: int, *, uid: str = "7") -> None:
    with writing(world.engine) as session:
        customer, brand = customer_by_uid(session, client="acme", uid=uid, lock=True)
        standing = Standing(session, player_of(customer, brand_facts(brand)), now=clock.now())
        operators.set_by_operator(
            standing, type_=type_, frame=frame, amount=amount, reason="test", by="test", session=session
        )


def deposit(world: World, amount: int, reference: str, *, in_two_steps: bool = False) -> Payment:
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        movement = Movement(kind="deposit", amount=amount, reference=reference, in_two_steps=in_two_steps)
        payment, _ = cashier.move(session, customer, movement, now=clock.now())
        return payment


@pytest.mark.parametrize(("type_", "code"), [("bet", "bet_limit_exceeded"), ("loss", "loss_limit_exceeded")])
def test_a_bet_that_would_break_a_limit_is_refused_and_the_refusal_is_seen(world: World, type_: str, code: str) -> None:
    Player(world).set(**{type_: ("day", "25")})
    assert world.place(bet(1), bet(2)) == OK
    assert world.place(bet(3, "5.01")) == error(402, code)
    assert world.wager(3)["refusal"] == code
    assert world.place(bet(4, "5.00")) == OK
    assert world.place(bet(5, "0.00")) == OK, "a stake of nothing breaks no limit"
    assert world.place(bet(6, "0.01")) == error(402, code)
    assert world.balance() == "75.00"


def test_the_bets_of_one_request_count_together(world: World) -> None:
    Player(world).set(bet=("day", "25"))
    assert world.place(bet(1), bet(2), bet(3)) == error(402, "bet_limit_exceeded")
    assert world.place(bet(4), bet(5)) == OK


def test_the_tightest_of_several_limits_binds(world: World) -> None:
    player = Player(world)
    player.set(bet=("month", "60"))
    player.set(bet=("week", "10"))
    assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")
    operator_sets(world, "bet", "day", 500)
    assert world.place(bet(2, "5.01")) == error(402, "bet_limit_exceeded")
    assert world.place(bet(3, "5.00")) == OK
    binding = player.get()["active"]["bet"]
    assert (binding["amount"], len(binding["all"])) == ("5", 3)


def test_wins_give_nothing_back_to_a_bet_limit_but_to_a_loss_limit(world: World) -> None:
    player = Player(world)
    player.set(bet=("day", "30"), loss=("day", "15"))
    world.place(bet(1))
    world.settle(result(1, "25.00"))
    left = {type_: player.get()["active"][type_]["amount_left"] for type_ in ("bet", "loss")}
    assert left == {"bet": "20", "loss": "30"}
    assert world.place(bet(2, "20.00")) == OK
    assert world.place(bet(3, "0.01")) == error(402, "bet_limit_exceeded")


@pytest.mark.parametrize("how", ["cancel", "void"])
def test_a_stake_that_is_given_back_no_longer_counts(world: World, how: str) -> None:
    Player(world).set(bet=("day", "10"), loss=("day", "10"))
    world.place(bet(1))
    assert world.place(bet(2)) == error(402, "bet_limit_exceeded")
    assert (world.cancel(refund(1)) if how == "cancel" else world.settle(result(1, "10.00", outcome="void"))) == OK
    assert world.place(bet(3)) == OK
    assert world.differences() == []


def test_a_correction_counts_what_stands(world: World) -> None:
    player = Player(world)
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
def test_a_return_credits_the_window_that_the_brand_says(world: World, attribution: str, left: str) -> None:
    with freeze_time("2026-05-01T22:00:00Z") as moment:
        player = Player(world, attribution=attribution)
        player.set(loss=("day", "20"))
        world.place(bet(1))
        moment.move_to("2026-05-02T12:00:00Z")
        world.settle(result(1, "30.00"))
        world.place(bet(2))
        assert player.get()["active"]["loss"]["amount_left"] == left


def test_stakes_in_another_currency_count_what_they_cost(world: World) -> None:
    with writing(world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.20", now=clock.now())
    Player(world).set(bet=("day", "12"))
    assert world.place(bet(1, "10.01", currency="GBP")) == error(402, "bet_limit_exceeded")
    assert world.place(bet(2, "10.00", currency="GBP")) == OK
    assert world.differences() == []


def test_a_new_window_begins_at_the_brands_midnight(world: World) -> None:
    with freeze_time("2026-07-01T22:59:59Z") as moment:
        Player(world).set(bet=("day", "10"))
        assert world.place(bet(1)) == OK
        assert world.place(bet(2)) == error(402, "bet_limit_exceeded")
        moment.move_to("2026-07-01T23:00:00Z")
        assert world.place(bet(3)) == OK


def test_no_change_of_a_limit_begins_its_window_again(world: World) -> None:
    with freeze_time("2026-05-04T12:00:00Z") as moment:
        player = Player(world, window="anniversary")
        player.set(bet=("week", "50"))
        assert world.place(bet(1, "50.00")) == OK
        moment.tick(timedelta(days=1))
        told = player.set(bet=("week", "49.99"))
        assert told["bet"]["amount_left"] == "0"
        assert world.place(bet(2, "1.00")) == error(402, "bet_limit_exceeded")
        player.set(bet=("week", "51"))
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert world.place(bet(3, "1.01")) == error(402, "bet_limit_exceeded")
        assert world.place(bet(4, "1.00")) == OK
        moment.move_to("2026-05-11T12:00:00Z")
        assert world.place(bet(5, "49.00")) == OK


def test_a_session_that_is_over_takes_no_bets_until_the_next_one(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = Player(world)
        player.set(time_limit={"time_frame": "50_minutes"})
        moment.tick(timedelta(minutes=49, seconds=59))
        assert world.place(bet(1)) == OK
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(2)) == error(402, "session_time_exceeded")
        assert world.settle(result(1)) == OK
        player.world.client.delete(f"/v1/sessions/{player.token}/")
        assert world.place(bet(3)) == error(402, "session_time_exceeded"), "logging out is no way around it"
        Player(world)
        assert world.place(bet(4)) == OK


def test_nothing_that_is_owed_to_the_player_is_refused_by_a_limit(world: World) -> None:
    for uid in (1, 2, 3):
        world.place(bet(uid))
    Player(world).set(bet=("day", "0"), loss=("day", "0"), deposit=("day", "0"), time_limit={"time_frame": "1_min"})
    assert world.place(bet(4)) == error(402, "bet_limit_exceeded")
    assert world.settle(result(1)) == OK
    assert world.settle(result(2, "10.00", outcome="void")) == OK
    assert world.cancel(refund(3)) == OK
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        cashier.move(session, customer, Movement(kind="withdrawal", amount=500, reference="W"), now=clock.now())
    assert world.balance() == "110.00"


def test_deposits_are_gross_and_withdrawals_give_nothing_back(world: World) -> None:
    Player(world).set(deposit=("week", "50"))
    deposit(world, 3000, "D1")
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        cashier.move(session, customer, Movement(kind="withdrawal", amount=3000, reference="W"), now=clock.now())
    with pytest.raises(RefusedError) as refusal:
        deposit(world, 2001, "D2")
    assert refusal.value.code == "deposit_limit_exceeded"
    deposit(world, 3000, "D1")  # the same again is the same
    deposit(world, 2000, "D3")
    assert world.balance() == "120.00"
    assert world.differences() == []


def test_a_deposit_is_counted_when_it_is_reserved_and_released_when_it_fails(world: World) -> None:
    with freeze_time("2026-05-01T22:00:00Z") as moment:
        Player(world).set(deposit=("day", "50"))
        reserved = deposit(world, 5000, "D1", in_two_steps=True)
        with pytest.raises(RefusedError):
            deposit(world, 1, "D2")
        moment.move_to("2026-05-02T12:00:00Z")
        later = deposit(world, 5000, "D3", in_two_steps=True)
        for payment, step in ((reserved, cashier.fail), (later, cashier.confirm)):
            with writing(world.engine) as session:
                customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
                step(session, customer, payment.id, now=clock.now())
        with pytest.raises(RefusedError):
            deposit(world, 1, "D4")
        assert world.differences() == []


def test_thirty_bets_at_once_against_a_limit_that_fits_ten_take_ten(world: World) -> None:
    Player(world).set(bet=("day", "10"))
    world.app  # noqa: B018 - started before the race
    with ThreadPoolExecutor(30) as pool:
        statuses = list(pool.map(lambda uid: world.place(bet(uid, "1.00")).status, range(30)))
    assert sorted(statuses) == [200] * 10 + [402] * 20
    assert world.balance() == "90.00"
    assert world.differences() == []


def test_a_limit_that_is_lowered_while_bets_fly_binds_every_bet_after_it(world: World) -> None:
    player = Player(world)
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
    assert staked <= max(20, before), "not one bet more once the limit is lower than what was staked"
    assert staked - before <= max(0, 20 - before)
    assert world.place(bet(5000, "2.00")) == error(402, "bet_limit_exceeded")
    assert world.differences() == []


def test_enforcement_costs_a_fixed_number_of_statements(world: World) -> None:
    for number in range(50):
        if number != 7:
            world.customer(str(number))
        operator_sets(world, "bet", "week", 10_000, uid=str(number))
    first = statements_of(world, place(range(1)))
    alone = statements_of(world, place(range(1, 2)))
    together = statements_of(world, place(range(10, 110)))
    assert together == alone <= first


def test_an_operators_limit_is_beyond_the_player(world: World) -> None:
    player = Player(world)
    operator_sets(world, "bet", "week", 500)
    row = player.get()["active"]["bet"]["all"][0]
    assert (row["amount"], row["set_by"]) == ("5", "operator")
    assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now", "the player's own is another one"
    assert player.set(bet=("no_limit", "no_limit"))["bet"]["effective_of"] != "now"
    assert world.place(bet(1, "5.01")) == error(402, "bet_limit_exceeded")
    for act in (player.swap, player.delete):
        assert act("1").status == 400


def test_usage_that_was_tampered_with_is_found(world: World) -> None:
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
            ("usage of limits is what the ledger says", True)
        ]
