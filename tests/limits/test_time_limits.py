"""Enforcement of time limits over play sessions, with and without a login."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from freezegun import freeze_time

from tests.limits.back_office import set_operator_limit
from tests.limits.player import GatewayPlayer
from tests.world import OK, World, bet, error, result
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity import login_sessions


def test_play_session_continues_across_logins_until_a_gap(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(time_limit={"time_frame": "50_minutes"})
        moment.tick(timedelta(minutes=49, seconds=59))
        assert world.place(bet(1)) == OK
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(2)) == error(402, "session_time_exceeded")
        assert world.settle(result(1)) == OK
        player.world.client.delete(f"/v1/sessions/{player.token}/")
        assert world.place(bet(3)) == error(402, "session_time_exceeded"), "logging out does not end the play session"
        again = GatewayPlayer(world)
        assert world.place(bet(4)) == error(402, "session_time_exceeded"), "nor does logging in again"
        assert again.get()["session"]["elapsed_minutes"] == 50
        moment.tick(timedelta(minutes=59, seconds=59))
        GatewayPlayer(world)
        assert world.place(bet(5)) == error(402, "session_time_exceeded"), "a login counts as a call"
        moment.tick(timedelta(minutes=60))
        assert world.place(bet(6)) == error(402, "session_time_exceeded"), "a new play session begins only with a login"
        new = GatewayPlayer(world)
        assert new.get()["session"]["elapsed_minutes"] == 0
        assert world.place(bet(7)) == OK


@pytest.mark.parametrize("last", ["bet", "call", "logout", "other login", "ended login"])
def test_gap_counts_from_the_last_bet_or_call(world: World, last: str) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player, other = GatewayPlayer(world), GatewayPlayer(world)
        player.set(time_limit={"time_frame": "30_minutes"})
        moment.tick(timedelta(minutes=29))
        if last == "bet":
            assert world.place(bet(1)) == OK
        elif last == "other login":
            other.get()
        elif last == "logout":
            world.client.delete(f"/v1/sessions/{player.token}/")
        else:
            player.get()
        if last == "ended login":
            with writing(world.engine) as session:
                login_sessions.end_all(session, customer_id=customer_by_uid(session, client="acme", uid="7")[0].id)
        moment.tick(timedelta(minutes=59, seconds=59))
        GatewayPlayer(world)
        assert world.place(bet(2)) == error(402, "session_time_exceeded")


@pytest.mark.parametrize("gap", ["5m", "2h"])
def test_session_gap_is_configured_per_brand(world: World, gap: str) -> None:
    minutes = {"5m": 5, "2h": 120}[gap]
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        GatewayPlayer(world, session_gap=gap).set(time_limit={"time_frame": "1_min"})
        moment.tick(timedelta(minutes=minutes, seconds=-1))
        GatewayPlayer(world)
        assert world.place(bet(1)) == error(402, "session_time_exceeded")
        moment.tick(timedelta(minutes=minutes))
        GatewayPlayer(world)
        assert world.place(bet(2)) == OK


def test_operator_time_limit_applies_without_a_login(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        set_operator_limit(world, "time_limit", "session", 30)
        moment.tick(timedelta(hours=2))
        assert world.place(bet(1, "1.00")) == OK, "the play session begins with the first bet"
        moment.tick(timedelta(minutes=29, seconds=59))
        assert world.place(bet(2, "1.00"), bet(3, "1.00")) == OK
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(4, "1.00")) == error(402, "session_time_exceeded")
        assert world.place(bet(1, "1.00")) == OK, "a repeated bet has the same answer as before"
        GatewayPlayer(world)
        assert world.place(bet(5, "1.00")) == error(402, "session_time_exceeded"), "the first login does not reset it"


def test_play_session_without_a_login_ends_after_a_gap(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        set_operator_limit(world, "time_limit", "session", 30)
        world.place(bet(1, "1.00"))
        moment.tick(timedelta(minutes=20))
        world.place(bet(2, "1.00"))
        moment.tick(timedelta(minutes=59, seconds=59))
        assert world.place(bet(3, "1.00")) == error(402, "session_time_exceeded")
        moment.tick(timedelta(seconds=1))
        assert world.place(bet(4, "1.00")) == OK, "a refused bet does not extend the play session"
        moment.tick(timedelta(minutes=29))
        assert world.place(bet(5, "1.00")) == OK
        moment.tick(timedelta(minutes=1))
        assert world.place(bet(6, "1.00")) == error(402, "session_time_exceeded")


@pytest.mark.parametrize(("minutes", "elapsed"), [(59, 89), (60, 0)])
def test_first_login_continues_the_play_session_of_earlier_bets(world: World, minutes: int, elapsed: int) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        world.place(bet(1, "1.00"))
        moment.tick(timedelta(minutes=30))
        world.place(bet(2, "1.00"))
        moment.tick(timedelta(minutes=minutes))
        assert GatewayPlayer(world).get()["session"]["elapsed_minutes"] == elapsed


def test_earlier_play_counts_toward_a_new_operator_time_limit(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        for number, minutes in enumerate((0, 60, 40, 40, 40)):
            moment.tick(timedelta(minutes=minutes))
            world.place(bet(number, "1.00"))
        set_operator_limit(world, "time_limit", "session", 121)
        assert world.place(bet(11, "1.00")) == OK, "played for two hours, after a gap of one hour"
        set_operator_limit(world, "time_limit", "session", 120)
        assert world.place(bet(12, "1.00")) == error(402, "session_time_exceeded")


def test_thirty_concurrent_bets_begin_one_play_session(world: World) -> None:
    set_operator_limit(world, "time_limit", "session", 1)
    world.configure(request_timeout=30, lock_timeout=20, statement_timeout=20)  # also on slow machines
    world.app  # noqa: B018 - the app is started before the concurrent part
    with freeze_time("2026-05-01T12:00:00Z", tick=True) as moment, ThreadPoolExecutor(10) as pool:
        assert {reply.status for reply in pool.map(lambda uid: world.place(bet(uid, "1.00")), range(30))} == {200}
        moment.tick(timedelta(minutes=1, seconds=1))
        assert {reply.status for reply in pool.map(lambda uid: world.place(bet(uid, "1.00")), range(30, 60))} == {402}
