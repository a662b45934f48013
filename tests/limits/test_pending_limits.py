"""Pending limits: confirmation (swap), cancellation (delete) and expiry."""

from datetime import timedelta

import pytest
from freezegun import freeze_time

from tests.limits.player import DAY, GatewayPlayer, gateway_error, pending_id
from tests.world import World, bet


def test_confirm_required_waits_for_swap_after_the_cool_off(world: World) -> None:
    # London's clocks go forward in between: the cool-off is still 24 hours.
    with freeze_time("2026-03-28T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "100"))
        player.set(bet=("week", "200"))
        row_id = pending_id(player)
        moment.tick(DAY - timedelta(seconds=1))
        assert player.get()["pending"]["bet"]["can_activate"] is False
        assert player.swap(row_id) == gateway_error("not_yet")
        moment.tick(timedelta(seconds=1))
        shown = player.get()
        assert (shown["pending"]["bet"]["can_activate"], shown["active"]["bet"]["can_activate"]) == (True, False)
        assert player.active() == {"week": "100"}
        for _ in range(2):
            expected = {"bet": {"effective_of": "now", "time_frame": "week", "amount": "200"}}
            assert player.swap(row_id) == (200, expected)
        assert player.active() == {"week": "200"}


def test_swap_of_several_rows_of_a_type_answers_all_of_them(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        for amounts in (("10", "100"), ("20", "200")):
            player.set(bet=("day", amounts[0]))
            player.set(bet=("week", amounts[1]))
        moment.tick(DAY)
        ids = [row["row_id"] for row in player.get()["pending"]["bet"]["all"]]
        week = {"effective_of": "now", "time_frame": "week", "amount": "200"}
        day = {"effective_of": "now", "time_frame": "day", "amount": "20"}
        assert player.swap(*ids) == (200, {"bet": {**week, "all": [week, day]}})
        assert player.active() == {"day": "20", "week": "200"}


def test_without_confirmation_a_limit_is_active_after_the_cool_off(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, confirm_required=False)
        player.set(bet=("week", "10"))
        player.set(bet=("week", "20"))
        row_id = pending_id(player)
        moment.tick(DAY - timedelta(seconds=1))
        assert world.place(bet(1, "20.00")).body == {"error": "bet_limit_exceeded"}
        moment.tick(timedelta(seconds=1))
        assert (player.active(), player.get()["pending"]) == ({"week": "20"}, {})
        assert world.place(bet(2, "20.00")).status == 200
        assert player.swap(row_id).status == 200
        assert player.delete(row_id) == gateway_error("unknown_row")


def test_early_swap_activates_nothing(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "100"), loss=("week", "100"))
        player.set(bet=("week", "200"))
        moment.tick(DAY)
        player.set(loss=("week", "200"))
        assert player.swap(pending_id(player), pending_id(player, "loss")) == gateway_error("not_yet")
        assert player.active() == {"week": "100"}


def test_rows_of_other_players_are_unknown_rows(world: World) -> None:
    world.customer("8")
    player, other = GatewayPlayer(world), GatewayPlayer(world, "8")
    other.set(bet=("week", "10"))
    other.set(bet=("week", "20"))
    player.set(bet=("week", "10"))
    active = pending_id(other)
    player.set(bet=("week", "20"))
    ended = pending_id(player)
    player.set(bet=("week", "10"))
    answers = [act(row) for row in (active, "999999", str(10**17)) for act in (player.swap, player.delete)]
    answers += [player.swap(ended)]
    assert {str(answer) for answer in answers} == {str(answers[0])}
    assert answers[0] == gateway_error("unknown_row")
    assert other.get()["pending"]["bet"]["amount"] == "20"


def test_swap_and_delete_can_be_disabled(world: World) -> None:
    player = GatewayPlayer(world, swap_delete_enabled=False, confirm_required=False)
    player.set(bet=("week", "10"))
    player.set(bet=("week", "20"))
    for act in (player.swap, player.delete):
        assert act(pending_id(player)) == gateway_error("not_available")


def test_a_raise_that_waits_for_a_confirmation_can_be_confirmed_or_deleted_under_later_rules(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, cooldown="24h", confirm_required=True)
        for type_ in ("bet", "loss"):
            player.set(**{type_: ("week", "10")})
            player.set(**{type_: ("week", "20")})
        player.rules(cooldown="24h", confirm_required=False, swap_delete_enabled=False)
        moment.tick(timedelta(days=1))
        assert player.get()["pending"]["bet"]["can_activate"]
        assert player.swap(pending_id(player)).status == 200
        assert player.active() == {"week": "20"}
        assert player.delete(pending_id(player, "loss")).status == 204


def test_active_limit_cannot_be_deleted(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "10"))
        player.set(bet=("week", "20"))
        row_id = pending_id(player)
        moment.tick(DAY)
        player.swap(row_id)
        assert player.delete(row_id) == gateway_error("unknown_row")
        assert player.active() == {"week": "20"}


@pytest.mark.parametrize("frame", ["week", "no_limit"])
def test_replaced_removal_cannot_be_swapped(world: World, frame: str) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        player.set(bet=("week", "10"))
        player.set(bet=(frame, "no_limit"))
        row_id = pending_id(player)
        moment.tick(DAY)
        assert player.swap(row_id).status == player.swap(row_id).status == 200
        player.set(bet=("day", "10"))
        assert player.swap(row_id).status == 200, "another frame is another limit"
        player.set(bet=("week", "10"))
        assert player.swap(row_id) == gateway_error("unknown_row")


def test_unconfirmed_pending_limit_expires(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, pending_ttl="7d")
        player.set(bet=("week", "10"))
        player.set(bet=("week", "20"))
        row_id = pending_id(player)
        moment.tick(timedelta(days=8))
        assert player.swap(row_id) == gateway_error("unknown_row")
        assert (player.active(), player.get()["pending"]) == ({"week": "10"}, {})
