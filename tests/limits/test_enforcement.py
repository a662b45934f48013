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
from tests.world import OK, World, bet, error, refund, refused, result
from wallet_hooks import clock
from wallet_hooks.cashier import service as cashier
from wallet_hooks.cashier.models import Payment
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity import sessions
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.service import brand_by_client, set_policy
from wallet_hooks.ledger.service import set_rate
from wallet_hooks.limits import operators
from wallet_hooks.limits.service import CurrentLimits, player_of


def operator_sets(world: World, type_: str, frame: str, amount: int, *, uid: str = "7") -> None:
    with writing(world.engine) as session:
        customer, brand = customer_by_uid(session, client="acme", uid=uid, lock=True)
        standing = CurrentLimits(session, player_of(customer, brand_facts(brand)), now=clock.now())
        operators.set_by_operator(
            standing, type_=type_, frame=frame, amount=amount, reason="test", by="test", session=session
        )


def set_rules(world: World, **rules: Any) -> None:
    with writing(world.engine) as session:
        set_policy(session, client="acme", preset=None, rules=rules)
    world.close_app()


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
    assert world.place(bet(1), bet(2), bet(3)) == refused("bet_limit_exceeded", "3")
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


def test_a_session_goes_on_across_logins_until_a_gap_has_passed(world: World) -> None:
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
        again = Player(world)
        assert world.place(bet(4)) == error(402, "session_time_exceeded"), "nor is logging in again"
        assert again.get()["session"]["elapsed_minutes"] == 50
        moment.tick(timedelta(minutes=59, seconds=59))
        Player(world)
        assert world.place(bet(5)) == error(402, "session_time_exceeded"), "a login is a call too"
        moment.tick(timedelta(minutes=60))
        assert world.place(bet(6)) == error(402, "session_time_exceeded"), "a session begins with a login"
        new = Player(world)
        assert new.get()["session"]["elapsed_minutes"] == 0
        assert world.place(bet(7)) == OK


@pytest.mark.parametrize("last", ["a bet", "a call", "logging out", "another session", "a session that was ended"])
def test_the_gap_counts_from_the_last_bet_or_call(world: World, last: str) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player, other = Player(world), Player(world)
        player.set(time_limit={"time_frame": "30_minutes"})
        moment.tick(timedelta(minutes=29))
        if last == "a bet":
            assert world.place(bet(1)) == OK
        elif last == "another session":
            other.get()
        elif last == "logging out":
            world.client.delete(f"/v1/sessions/{player.token}/")
        else:
            player.get()
        if last == "a session that was ended":
            with writing(world.engine) as session:
                sessions.end_all(session, customer_id=customer_by_uid(session, client="acme", uid="7")[0].id)
        moment.tick(timedelta(minutes=59, seconds=59))
        Player(world)
        assert world.place(bet(2)) == error(402, "session_time_exceeded")


@pytest.mark.parametrize("gap", ["5m", "2h"])
def test_a_brand_says_how_long_a_gap_is(world: World, gap: str) -> None:
    minutes = {"5m": 5, "2h": 120}[gap]
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        Player(world, session_gap=gap).set(time_limit={"time_frame": "1_min"})
        moment.tick(timedelta(minutes=minutes, seconds=-1))
        Player(world)
        assert world.place(bet(1)) == error(402, "session_time_exceeded")
        moment.tick(timedelta(minutes=minutes))
        Player(world)
        assert world.place(bet(2)) == OK


def test_an_operators_time_limit_binds_who_never_logged_in(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        operator_sets(world, "time_limit", "session", 30)
        moment.tick(timedelta(hours=2))
        assert world.place(bet(1, "1.00")) == OK, "the session begins with the first bet"
        moment.tick(timedelta(minutes=29, seconds=59))
        assert world.place(bet(2, "1.00"), bet(3, "1.00")) == OK
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(4, "1.00")) == error(402, "session_time_exceeded")
        assert world.place(bet(1, "1.00")) == OK, "a bet that was taken before is told as it was"
        Player(world)
        assert world.place(bet(5, "1.00")) == error(402, "session_time_exceeded"), "nor does the first login reset it"


def test_a_session_without_a_login_ends_with_a_gap_after_its_last_bet(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        operator_sets(world, "time_limit", "session", 30)
        world.place(bet(1, "1.00"))
        moment.tick(timedelta(minutes=20))
        world.place(bet(2, "1.00"))
        moment.tick(timedelta(minutes=59, seconds=59))
        assert world.place(bet(3, "1.00")) == error(402, "session_time_exceeded")
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(4, "1.00")) == OK, "what was refused is no bet of the session"
        moment.tick(timedelta(minutes=29))
        assert world.place(bet(5, "1.00")) == OK
        moment.tick(timedelta(minutes=1))
        assert world.place(bet(6, "1.00")) == error(402, "session_time_exceeded")


def test_what_was_played_before_counts_when_an_operator_limits_the_session(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        for number, minutes in enumerate((0, 60, 40, 40, 40)):
            moment.tick(timedelta(minutes=minutes))
            world.place(bet(number, "1.00"))
        operator_sets(world, "time_limit", "session", 121)
        assert world.place(bet(11, "1.00")) == OK, "played for two hours, after a gap of one"
        operator_sets(world, "time_limit", "session", 120)
        assert world.place(bet(12, "1.00")) == error(402, "session_time_exceeded")


def test_thirty_bets_at_once_begin_one_session(world: World) -> None:
    operator_sets(world, "time_limit", "session", 1)
    world.configure(request_timeout=30, lock_timeout=20, statement_timeout=20)  # slow machines take all of them too
    world.app  # noqa: B018 - started before the race
    with freeze_time("2026-05-01T12:00:00Z", tick=True) as moment, ThreadPoolExecutor(10) as pool:
        assert {reply.status for reply in pool.map(lambda uid: world.place(bet(uid, "1.00")), range(30))} == {200}
        moment.tick(timedelta(minutes=1, seconds=1))
        assert {reply.status for reply in pool.map(lambda uid: world.place(bet(uid, "1.00")), range(30, 60))} == {402}


@pytest.mark.parametrize(
    ("rules", "within", "above"),
    [
        ({"defaults": {"bet": {"EUR": {"amount": "20", "period": "week"}}}}, "20.00", "bet_limit_exceeded"),
        ({"defaults": {"loss": {"EUR": {"amount": "20", "period": "day"}}}}, "20.00", "loss_limit_exceeded"),
        ({"caps": {"bet": {"EUR": "20"}}}, "20.00", "bet_limit_exceeded"),
        ({"caps": {"bet": {"EUR": "50"}}, "defaults": {"bet": {"EUR": {"amount": "20", "period": "day"}}}},
         "20.00", "bet_limit_exceeded"),
    ],
    ids=str,
)  # fmt: skip
def test_defaults_that_apply_bind_whoever_set_no_limit(
    world: World, rules: dict[str, Any], within: str, above: str
) -> None:
    set_rules(world, **rules)
    assert world.place(bet(1, "30.00")) == OK, "defaults are shown, and bind nobody unless they apply"
    world.cancel(refund(1, amount="30.00"))
    set_rules(world, **rules, defaults_apply=True)
    assert world.place(bet(2, "20.01")) == error(402, above)
    assert world.place(bet(3, within)) == OK
    assert world.place(bet(4, "0.01")) == error(402, above)
    assert world.differences() == []


def test_a_cap_binds_by_the_day_and_its_own_currency_alone(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        set_rules(world, caps={"bet": {"EUR": "10"}}, defaults_apply=True)
        world.customer("8", currency="GBP")
        assert world.place(bet(1)) == OK
        assert world.place(bet(2, "0.01")) == error(402, "bet_limit_exceeded")
        assert world.place(bet(3, "50.00", user=8, currency="GBP")) == OK
        moment.tick(timedelta(days=1))
        assert world.place(bet(4)) == OK


def test_germany_binds_deposits_to_a_thousand_euros_a_month(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = Player(world)
        player.rules(preset="germany", defaults={"bet": {"EUR": {"amount": "1", "period": "day"}}})
        deposit(world, 100_000, "D1")
        with pytest.raises(RefusedError) as refusal:
            deposit(world, 1, "D2")
        assert refusal.value.code == "deposit_limit_exceeded"
        shown = player.get()["active"]["deposit"]
        assert (shown["time_frame"], shown["amount"], shown["amount_left"]) == ("month", "1000", "0")
        assert (shown["changed_by"], shown["all"][0]["set_by"], shown["last_changed"]) == (
            "brand",
            "brand",
            "undefined",
        )
        assert world.place(bet(1, "1.01")) == error(402, "bet_limit_exceeded"), "the brand's own default beside it"
        moment.move_to("2026-06-01T12:00:00Z")
        deposit(world, 100_000, "D3")


def test_a_limit_above_the_default_is_a_raise_and_one_below_it_binds_at_once(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = Player(world, defaults={"bet": {"EUR": {"amount": "20", "period": "week"}}}, defaults_apply=True)
        assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "2026-05-02 12:00"
        assert player.active() == {"week": "20"}
        told = player.set(bet=("day", "40"))["bet"]
        assert (told["effective_of"], [row["amount"] for row in told["all"]]) == ("now", ["40", "20"])
        assert player.active() == {"day": "40", "week": "20"}, "another frame is an addition"
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert player.active() == {"day": "40", "week": "50"}
        assert player.set(bet=("week", "no_limit"))["bet"]["effective_of"] == "now", "the default is less"
        assert player.active() == {"day": "40", "week": "20"}
        assert player.set(bet=("week", "10"))["bet"]["effective_of"] == "now"
        assert player.set(bet=("week", "no_limit"))["bet"]["effective_of"] == "2026-05-03 12:00"
        assert player.active() == {"day": "40", "week": "10"}
        assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")


def test_under_a_cap_that_applies_the_players_own_limits_can_go(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = Player(world, caps={"bet": {"EUR": "50"}}, defaults_apply=True)
        player.set(bet=("week", "20"))
        player.set(bet=("week", "no_limit"))
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert player.active() == {"day": "50"}


def test_a_currency_that_left_the_list_leaves_the_other_rules_in_force(world: World) -> None:
    set_rules(world, caps={"bet": {"EUR": "10"}, "loss": {"EUR": "10"}}, defaults_apply=True)
    with writing(world.engine) as session:
        brand = brand_by_client(session, "acme")
        limits = {**brand.policy["limits"], "caps": {"bet": {"EUR": "10", "XYZW": "1"}}}
        brand.policy = {**brand.policy, "limits": limits}
    world.close_app()
    assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")


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
    for number in range(50):
        operator_sets(world, "time_limit", "session", 60, uid=str(number))
    timed = statements_of(world, place(range(201, 202)))
    assert timed == statements_of(world, place(range(210, 310)))
    assert timed <= alone + 1, "a session that no login tells of is kept"


def test_who_has_no_limits_pays_for_none(world: World) -> None:
    statements_of(world, place([7]))
    free = statements_of(world, place([57]))
    set_rules(world, caps={"deposit": {"EUR": "10"}, "bet": {"SEK": "1"}}, defaults_apply=True)
    statements_of(world, place([207]))  # a connection that is new reads which currencies are stored
    assert statements_of(world, place([107])) == free
    set_rules(world, caps={"bet": {"EUR": "100"}}, defaults_apply=True)
    statements_of(world, place([257]))
    assert statements_of(world, place([157])) == free + 3


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
            ("limit usage matches the ledger, wagers and payments", True)
        ]
