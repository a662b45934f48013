"""When a change of limits takes effect: every row of the table in docs/protocols/limits.md, and the presets."""

from datetime import timedelta

import pytest
from freezegun import freeze_time

from tests.limits.player import DAY, GatewayPlayer, gateway_error, pending_id
from tests.world import World, bet


def test_new_limit_counts_earlier_usage(player: GatewayPlayer) -> None:
    player.world.place(bet(1, "30.00"))
    assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now"
    assert player.get()["active"]["bet"]["amount_left"] == "20"


def test_lowering_is_immediate_and_supersedes_a_pending_raise(player: GatewayPlayer) -> None:
    player.set(bet=("week", "100"))
    player.set(bet=("week", "200"))
    assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now"
    assert (player.active(), player.get()["pending"]) == ({"week": "50"}, {})


def test_same_value_cancels_a_pending_raise(player: GatewayPlayer) -> None:
    player.set(bet=("week", "100"))
    before = player.get()["active"]["bet"]["all"]
    player.set(bet=("week", "200"))
    player.set(bet=("week", "100"))
    assert (player.get()["active"]["bet"]["all"], player.get()["pending"]) == (before, {})


def test_raise_is_pending_and_the_active_limit_stays(player: GatewayPlayer) -> None:
    player.set(bet=("week", "100"))
    assert player.set(bet=("week", "100.01"))["bet"]["effective_of"] != "now"
    assert player.active() == {"week": "100"}
    assert player.get()["pending"]["bet"]["amount"] == "100.01"


@pytest.mark.parametrize("frame", ["week", "no_limit"])
def test_removal_is_pending_like_a_raise(world: World, frame: str) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "100"))
        assert player.set(bet=(frame, "no_limit"))["bet"]["effective_of"] == "2026-05-02 12:00"
        assert player.get()["pending"]["bet"]["amount"] == "no_limit"
        assert player.active() == {"week": "100"}
        moment.tick(DAY)
        row_id = pending_id(player)
        for _ in range(2):
            assert player.swap(row_id).status == 200
        assert (player.active(), player.get()["pending"]) == ({}, {})
        assert world.place(bet(1, "100.00")).status == 200


@pytest.mark.parametrize("type_", ["bet", "loss", "deposit"])
@pytest.mark.parametrize(
    ("before", "after"), [(a, b) for a in ("day", "week", "month") for b in ("day", "week", "month") if a != b]
)
def test_another_frame_is_an_addition_whatever_its_amount(
    player: GatewayPlayer, type_: str, before: str, after: str
) -> None:
    player.set(**{type_: (before, "500")})
    for amount in ("9000", "100"):
        quote = player.set(**{type_: (after, amount)})[type_]
        assert (quote["effective_of"], quote["time_frame"], quote["amount"]) == ("now", after, amount)
        assert {one["time_frame"]: one["amount"] for one in quote["all"]} == {before: "500", after: amount}
        assert (player.active(type_), player.get()["pending"]) == ({before: "500", after: amount}, {})


def test_removal_of_one_frame_is_pending(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(deposit=("week", "500"))
        player.set(deposit=("day", "100"))
        quote = player.set(deposit=("week", "no_limit"))["deposit"]
        assert (quote["effective_of"], quote["amount"]) == ("2026-05-02 12:00", "no_limit")
        assert [(one["time_frame"], one["amount"]) for one in quote["all"]] == [("day", "100")]
        player.set(deposit=("day", "90"))
        moment.tick(DAY)
        assert player.active("deposit") == {"day": "90", "week": "500"}
        assert player.swap(pending_id(player, "deposit")).status == 200
        assert (player.active("deposit"), player.get()["pending"]) == ({"day": "90"}, {})


def test_each_frame_has_its_own_pending_limit(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, confirm_required=False)
        player.set(bet=("day", "10"))
        player.set(bet=("week", "50"))
        player.set(bet=("week", "60"))
        moment.tick(timedelta(hours=1))
        player.set(bet=("day", "20"))
        moment.tick(DAY - timedelta(hours=1))
        assert player.active() == {"day": "10", "week": "60"}
        moment.tick(timedelta(hours=1))
        assert player.active() == {"day": "20", "week": "60"}


def test_all_frames_can_be_removed_together(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, wait_period_end=True)
        player.set(bet=("day", "10"))
        player.set(bet=("month", "50"))
        assert player.set(bet=("no_limit", "no_limit"))["bet"]["effective_of"] == "2026-05-31 23:00"
        player.set(bet=("week", "30"))
        pending = player.get()["pending"]["bet"]["all"]
        assert sorted(row["time_frame"] for row in pending) == ["day", "month"], "a limit set later is not removed"
        moment.move_to("2026-05-31T23:00:00Z")
        ids = [row["row_id"] for row in pending]
        for _ in range(2):
            assert player.swap(*ids).status == 200
        assert player.active() == {"week": "30"}


def test_second_raise_restarts_the_cool_off(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "100"))
        player.set(bet=("week", "200"))
        moment.tick(DAY - timedelta(minutes=1))
        first = pending_id(player)
        player.set(bet=("week", "300"))
        moment.tick(timedelta(hours=1))
        assert player.swap(first) == gateway_error("unknown_row")
        assert player.swap(pending_id(player)) == gateway_error("not_yet")
        moment.tick(DAY - timedelta(hours=1))
        assert player.swap(pending_id(player)).status == 200
        assert player.active() == {"week": "300"}


def test_lowering_and_raise_in_one_request(player: GatewayPlayer) -> None:
    player.set(bet=("week", "100"), loss=("week", "100"))
    quote = player.set(bet=("week", "50"), loss=("week", "200"))
    assert (quote["bet"]["effective_of"], quote["loss"]["effective_of"] == "now") == ("now", False)
    assert (player.active("bet"), player.active("loss")) == ({"week": "50"}, {"week": "100"})


@pytest.mark.parametrize(
    ("preset", "frame", "effective"),
    [
        ("ukgc", "week", "2026-05-02 12:00"),
        ("ontario", "week", "2026-05-02 12:00"),
        ("mga", "month", "2026-05-02 12:00"),
        ("germany", "month", "2026-05-08 12:00"),
        ("sweden", "day", "2026-05-04 12:00"),
        ("sweden", "week", "2026-05-04 12:00"),
        ("sweden", "month", "2026-05-31 23:00"),
    ],
)
def test_presets(world: World, preset: str, frame: str, effective: str) -> None:
    with freeze_time("2026-05-01T12:00:00Z"):
        player = GatewayPlayer(world, preset=preset)
        player.set(bet=(frame, "10"))
        assert player.set(bet=(frame, "20"))["bet"]["effective_of"] == effective


def test_pending_limit_keeps_the_policy_of_its_request(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, confirm_required=False)
        player.set(bet=("week", "10"))
        player.set(bet=("week", "20"))
        moment.tick(DAY)
        assert player.active() == {"week": "20"}
        player.rules(confirm_required=True)
        assert player.active() == {"week": "20"}
        player.set(bet=("week", "30"))
        player.rules(confirm_required=False)
        moment.tick(DAY)
        assert player.active() == {"week": "20"}
        player.rules(caps={"bet": {"EUR": "25"}})
        assert player.swap(pending_id(player)) == gateway_error("above_cap")
