"""The six calls: the source's samples, and every row of the table of cases."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.limits.player import Player, change
from tests.world import World, bet, result
from wallet_hooks import clock
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity import sessions

DAY = timedelta(hours=24)
UPDATED = (202, "Updated")


@pytest.fixture
def player(world: World) -> Player:
    return Player(world)


def refused(code: str, status: int = 400) -> Any:
    class Refusal:
        def __eq__(self, reply: object) -> bool:
            return (
                isinstance(reply, tuple)
                and reply[0] == status
                and reply[1]["code"] == code
                and reply[1]["errMsg"].startswith("invalid input - ")
            )

        __hash__ = None  # type: ignore[assignment]

    return Refusal()


def pending_id(player: Player, type_: str = "bet") -> str:
    return str(player.get()["pending"][type_]["row_id"])


class TestSamples:
    """The source's bodies."""

    def test_nothing_is_limited_at_first(self, player: Player) -> None:
        shown = player.get()
        undefined = dict.fromkeys(("time_frame", "amount", "amount_left", "end_time"), "undefined")
        for type_ in ("bet", "loss", "deposit"):
            assert shown["active"][type_] == undefined | {"changed_by": None, "all": []}
        assert (shown["pending"], shown["reality_check"]) == ({}, "undefined")

    def test_get_calculate_and_update(self, world: World) -> None:
        with freeze_time("2017-01-17T12:00:00Z") as moment:
            player = Player(world)
            world.deposit("9900.00")
            player.set(bet=("week", "100"))
            world.place(bet(1, "50.00"))
            quote = player.calculate(
                "201608120826_1", changed_by="roman", loss=("day", "200"), bet=("week", "1500"), reality_check="60_min"
            )
            assert quote == (
                200,
                {
                    "uuid": "201608120826_1",
                    "loss": {
                        "effective_of": "now", "effective_of_at": None, "time_frame": "day", "amount": "200",
                        "amount_left": "150",
                    },
                    "bet": {
                        "effective_of": "2017-01-18 12:00", "effective_of_at": "2017-01-18T12:00:00+00:00",
                        "time_zone": "UTC", "time_frame": "week", "amount": "1500", "amount_left": "1450",
                    },
                    "reality_check": "60_min",
                },
            )  # fmt: skip
            sources = {
                "uuid": "201608120826_1",
                "loss": {"effective_of": "now", "time_frame": "day", "amount": "200", "amount_left": "1"},
                "bet": {"effective_of": "2017-01-18 12:00", "time_frame": "week", "amount": "1500"},
                "reality_check": "60_min",
            }
            assert player.update(sources) == UPDATED
            world.place(bet(2, "10.00"))
            moment.tick(timedelta(hours=1))
            shown = player.get()
        assert shown["active"]["bet"]["all"].pop() == {
            "time_frame": "week", "amount": "100", "amount_left": "40",
            "start_time": "2017-01-16 00:00:00.0", "start_time_at": "2017-01-16T00:00:00+00:00",
            "end_time": "2017-01-23 00:00:00.0", "end_time_at": "2017-01-23T00:00:00+00:00",
            "last_changed": "2017-01-17 12:00:00.0", "last_changed_at": "2017-01-17T12:00:00+00:00",
            "time_zone": "UTC", "changed_by": "player", "set_by": "player",
        }  # fmt: skip
        told = ("time_frame", "amount", "amount_left", "changed_by", "label")
        assert {key: shown["active"]["loss"][key] for key in told} == {
            "time_frame": "day", "amount": "200", "amount_left": "140", "changed_by": "player", "label": "roman",
        }  # fmt: skip
        assert shown["active"]["bet"]["can_activate"] is False
        assert shown["pending"]["bet"] == {
            "time_frame": "week", "amount": "1500", "changed_by": "player", "label": "roman", "can_activate": False,
            "start_time": "2017-01-18 12:00:00.0", "start_time_at": "2017-01-18T12:00:00+00:00",
            "last_changed": "2017-01-17 12:00:00.0", "last_changed_at": "2017-01-17T12:00:00+00:00",
            "end_time": "undefined", "time_zone": "UTC", "row_id": shown["pending"]["bet"]["row_id"],
        }  # fmt: skip
        assert shown["reality_check"] == "60_min"
        assert (shown["session"]["elapsed_minutes"], shown["session"]["net_result"]) == (60, "-60.00")

    def test_swap_and_delete_share_a_path(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(loss=("day", "100"), bet=("week", "100"), deposit=("day", "5"))
            player.set(loss=("day", "200"), bet=("week", "1500"), deposit=("day", "6"))
            ids = {type_: pending_id(player, type_) for type_ in ("loss", "bet", "deposit")}
            moment.tick(DAY)
            for _ in range(2):
                assert player.call("PUT", "/player/delete/limits/BRAND", [f"{ids['loss']},{ids['bet']}"]) == (
                    200,
                    {
                        "loss": {"effective_of": "now", "time_frame": "day", "amount": "200"},
                        "bet": {"effective_of": "now", "time_frame": "week", "amount": "1500"},
                    },
                )
            for _ in range(2):
                assert player.call("PUT", "/player/delete/limits/BRAND", {"row_id": [ids["deposit"]]}) == (204, None)
            assert (player.active("loss"), player.active("bet")) == ({"day": "200"}, {"week": "1500"})
            assert (player.active("deposit"), player.get()["pending"]) == ({"day": "5"}, {})

    def test_metadata(self, world: World) -> None:
        rules = {
            "defaults": {
                "bet": {"EUR": {"amount": "1000", "period": "week"}},
                "loss": {"EUR": {"amount": "10000", "period": "month"}},
            }
        }
        player = Player(world, **rules)
        assert player.call("GET", "/meta-data/BRAND/EUR").body == {
            "deposit": {"amount": "no_limit", "period": "no_limit"},
            "bet": {"amount": "1000", "period": "week"},
            "loss": {"amount": "10000", "period": "month"},
            "limit_periods": ["day", "week", "month", "no_limit"],
            "reality_check": {"period": "undefined", "options": ["15_min", "30_min", "60_min", "no_limit"]},
        }
        assert player.call("GET", "/meta-data/BRAND/JPY").body["bet"]["amount"] == "no_limit"
        assert player.call("GET", "/meta-data/BRAND/XQQ") == refused("invalid_request")

    def test_a_time_limit(self, world: World) -> None:
        with freeze_time("2018-06-18T17:38:23Z"):
            player = Player(world)
            player.set(time_limit={"time_frame": "50_minutes"})
            shown = player.get()["active"]["time_limit"]
        assert shown == {
            "brand_id": 1007, "player_id": shown["player_id"], "time_frame": "50_minutes", "status": "active",
            "changed_by": "player", "effective_of": "2018-06-18 17:38:23",
            "effective_of_at": "2018-06-18T17:38:23+00:00", "time_zone": "UTC",
        }  # fmt: skip


class TestCases:
    """The table, row by row."""

    def test_none_to_set_counts_what_was_done_before(self, player: Player) -> None:
        player.world.place(bet(1, "30.00"))
        assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now"
        assert player.get()["active"]["bet"]["amount_left"] == "20"

    def test_lower_binds_at_once_and_supersedes_what_is_pending(self, player: Player) -> None:
        player.set(bet=("week", "100"))
        player.set(bet=("week", "200"))
        assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "now"
        assert (player.active(), player.get()["pending"]) == ({"week": "50"}, {})

    def test_the_same_value_changes_nothing_but_cancels_what_is_pending(self, player: Player) -> None:
        player.set(bet=("week", "100"))
        before = player.get()["active"]["bet"]["all"]
        player.set(bet=("week", "200"))
        player.set(bet=("week", "100"))
        assert (player.get()["active"]["bet"]["all"], player.get()["pending"]) == (before, {})

    def test_a_raise_is_pending_and_leaves_what_is_active(self, player: Player) -> None:
        player.set(bet=("week", "100"))
        assert player.set(bet=("week", "100.01"))["bet"]["effective_of"] != "now"
        assert player.active() == {"week": "100"}
        assert player.get()["pending"]["bet"]["amount"] == "100.01"

    @pytest.mark.parametrize("frame", ["week", "no_limit"])
    def test_taking_a_limit_away_is_as_a_raise(self, world: World, frame: str) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
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
        self, player: Player, type_: str, before: str, after: str
    ) -> None:
        player.set(**{type_: (before, "500")})
        for amount in ("9000", "100"):
            told = player.set(**{type_: (after, amount)})[type_]
            assert (told["effective_of"], told["time_frame"], told["amount"]) == ("now", after, amount)
            assert {one["time_frame"]: one["amount"] for one in told["all"]} == {before: "500", after: amount}
            assert (player.active(type_), player.get()["pending"]) == ({before: "500", after: amount}, {})

    def test_a_frame_is_removed_by_asking_for_it_and_waits(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(deposit=("week", "500"))
            player.set(deposit=("day", "100"))
            told = player.set(deposit=("week", "no_limit"))["deposit"]
            assert (told["effective_of"], told["amount"]) == ("2026-05-02 12:00", "no_limit")
            assert [(one["time_frame"], one["amount"]) for one in told["all"]] == [("day", "100")]
            player.set(deposit=("day", "90"))
            moment.tick(DAY)
            assert player.active("deposit") == {"day": "90", "week": "500"}
            assert player.swap(pending_id(player, "deposit")).status == 200
            assert (player.active("deposit"), player.get()["pending"]) == ({"day": "90"}, {})

    def test_each_frame_has_a_pending_limit_of_its_own(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, confirm_required=False)
            player.set(bet=("day", "10"))
            player.set(bet=("week", "50"))
            player.set(bet=("week", "60"))
            moment.tick(timedelta(hours=1))
            player.set(bet=("day", "20"))
            moment.tick(DAY - timedelta(hours=1))
            assert player.active() == {"day": "10", "week": "60"}
            moment.tick(timedelta(hours=1))
            assert player.active() == {"day": "20", "week": "60"}

    def test_all_frames_can_be_taken_away_together(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, wait_period_end=True)
            player.set(bet=("day", "10"))
            player.set(bet=("month", "50"))
            assert player.set(bet=("no_limit", "no_limit"))["bet"]["effective_of"] == "2026-05-31 23:00"
            player.set(bet=("week", "30"))
            pending = player.get()["pending"]["bet"]["all"]
            assert sorted(row["time_frame"] for row in pending) == ["day", "month"], "not what was asked for later"
            moment.move_to("2026-05-31T23:00:00Z")
            ids = [row["row_id"] for row in pending]
            for _ in range(2):
                assert player.swap(*ids).status == 200
            assert player.active() == {"week": "30"}

    def test_a_raise_while_one_is_pending_starts_the_clock_again(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(bet=("week", "100"))
            player.set(bet=("week", "200"))
            moment.tick(DAY - timedelta(minutes=1))
            first = pending_id(player)
            player.set(bet=("week", "300"))
            moment.tick(timedelta(hours=1))
            assert player.swap(first) == refused("unknown_row")
            assert player.swap(pending_id(player)) == refused("not_yet")
            moment.tick(DAY - timedelta(hours=1))
            assert player.swap(pending_id(player)).status == 200
            assert player.active() == {"week": "300"}

    def test_one_lower_and_another_higher_each_by_its_rule(self, player: Player) -> None:
        player.set(bet=("week", "100"), loss=("week", "100"))
        told = player.set(bet=("week", "50"), loss=("week", "200"))
        assert (told["bet"]["effective_of"], told["loss"]["effective_of"] == "now") == ("now", False)
        assert (player.active("bet"), player.active("loss")) == ({"week": "50"}, {"week": "100"})

    def test_after_the_cool_off_a_brand_that_confirms_waits_for_the_player(self, world: World) -> None:
        # The clocks of London go forward in between: 24 hours stay 24 hours.
        with freeze_time("2026-03-28T12:00:00Z") as moment:
            player = Player(world)
            player.set(bet=("week", "100"))
            player.set(bet=("week", "200"))
            row_id = pending_id(player)
            moment.tick(DAY - timedelta(seconds=1))
            assert player.get()["pending"]["bet"]["can_activate"] is False
            assert player.swap(row_id) == refused("not_yet")
            moment.tick(timedelta(seconds=1))
            shown = player.get()
            assert (shown["pending"]["bet"]["can_activate"], shown["active"]["bet"]["can_activate"]) == (True, True)
            assert player.active() == {"week": "100"}
            for _ in range(2):
                expected = {"bet": {"effective_of": "now", "time_frame": "week", "amount": "200"}}
                assert player.swap(row_id) == (200, expected)
            assert player.active() == {"week": "200"}

    def test_after_the_cool_off_a_brand_that_does_not_confirm_has_it_in_force(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, confirm_required=False)
            player.set(bet=("week", "10"))
            player.set(bet=("week", "20"))
            row_id = pending_id(player)
            moment.tick(DAY - timedelta(seconds=1))
            assert world.place(bet(1, "20.00")).body == {"error": "bet_limit_exceeded"}
            moment.tick(timedelta(seconds=1))
            assert (player.active(), player.get()["pending"]) == ({"week": "20"}, {})
            assert world.place(bet(2, "20.00")).status == 200
            assert player.swap(row_id).status == 200
            assert player.delete(row_id) == refused("unknown_row")

    def test_a_swap_that_is_early_swaps_nothing(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(bet=("week", "100"), loss=("week", "100"))
            player.set(bet=("week", "200"))
            moment.tick(DAY)
            player.set(loss=("week", "200"))
            assert player.swap(pending_id(player), pending_id(player, "loss")) == refused("not_yet")
            assert player.active() == {"week": "100"}

    def test_rows_that_are_not_the_players_are_all_alike(self, world: World) -> None:
        world.customer("8")
        player, other = Player(world), Player(world, "8")
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
        assert answers[0] == refused("unknown_row")
        assert other.get()["pending"]["bet"]["amount"] == "20"

    def test_a_brand_that_disallows_swap_and_delete(self, world: World) -> None:
        player = Player(world, swap_delete_enabled=False, confirm_required=False)
        player.set(bet=("week", "10"))
        player.set(bet=("week", "20"))
        for act in (player.swap, player.delete):
            assert act(pending_id(player)) == refused("not_available")

    def test_what_is_active_cannot_be_deleted(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(bet=("week", "10"))
            player.set(bet=("week", "20"))
            row_id = pending_id(player)
            moment.tick(DAY)
            player.swap(row_id)
            assert player.delete(row_id) == refused("unknown_row")
            assert player.active() == {"week": "20"}

    def test_a_uuid_again_is_answered_alike_or_conflicts(self, player: Player) -> None:
        first = player.calculate("u", bet=("week", "10"))
        assert player.calculate("u", bet=("week", "10")) == first
        assert player.calculate("u", bet=("week", "11")) == refused("uuid_conflict")
        for _ in range(2):
            assert player.update(first.body) == UPDATED
        assert player.update(first.body | {"reality_check": "15_min"}) == refused("uuid_conflict")
        assert player.calculate("u", bet=("week", "10")) == first
        assert player.active() == {"week": "10"}

    @pytest.mark.parametrize(
        ("tampered", "told"),
        [
            ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "999", "amount_left": "10"}},
             'bet.amount: "10" was calculated'),
            ({"bet": {"effective_of": "2026-01-01 00:00", "time_frame": "week", "amount": "10"}},
             'bet.effective_of: "now" was calculated'),
            ({"bet": {"time_frame": "week", "amount": "10"}}, 'bet.effective_of: "now" was calculated'),
            ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "10", "all": []}}, "bet.all: "),
            ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "10", "more": 1}},
             "bet.more: nothing was calculated for it"),
            ({"bet": "now"}, "bet: {"),
            ({"loss": {"effective_of": "now", "time_frame": "week", "amount": "10"}},
             "loss: nothing was calculated for it"),
            ({"reality_check": "60_min"}, "reality_check: nothing was calculated for it"),
            ({"x" * 1000: 1}, "a field: nothing was calculated for it"),
            ({"uuid": "unknown"}, "calculate the limits again"),
        ],
        ids=str,
    )  # fmt: skip
    def test_a_tampered_quote_is_stale_and_names_the_field(self, player: Player, tampered: Any, told: str) -> None:
        player.set(bet=("day", "5"))
        before = player.active()
        quote = player.calculate(bet=("week", "10")).body
        reply = player.update(quote | tampered)
        assert reply == refused("stale_quote")
        assert reply.body["errMsg"].startswith(f"invalid input - {told}")
        assert player.active() == before
        missing = player.update({"uuid": quote["uuid"]})
        assert missing.body["errMsg"].startswith("invalid input - bet: {")
        assert player.update(quote) == UPDATED, "an honest one still goes"
        reply = player.update(quote | tampered)
        if "uuid" not in tampered:
            assert reply == refused("uuid_conflict")
            assert told in reply.body["errMsg"]

    def test_a_quote_that_went_stale_is_calculated_anew_under_its_uuid(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            first = player.calculate("u", bet=("week", "10"))
            moment.tick(timedelta(minutes=15))
            assert player.update(first.body) == refused("stale_quote")
            assert player.calculate("u", bet=("week", "11")) == refused("uuid_conflict")
            assert player.calculate("u", bet=("week", "10")) == first
            moment.tick(timedelta(minutes=14))
            assert player.update(first.body) == UPDATED, "it was too old, and is new again"
            first = player.calculate("v", bet=("week", "10"))
            player.set(bet=("day", "5"))
            assert player.update(first.body) == refused("stale_quote")
            anew = player.calculate("v", bet=("week", "10"))
            assert {one["time_frame"] for one in anew.body["bet"]["all"]} == {"day", "week"}, (
                "reckoned from what is now"
            )
            assert player.update(anew.body) == UPDATED
            moment.tick(timedelta(hours=1))
            player.set(bet=("day", "4"))
            assert player.calculate("v", bet=("week", "10")) == anew, "one that was applied answers as it did"
            assert player.update(anew.body) == UPDATED
            assert player.active() == {"day": "4", "week": "10"}

    @pytest.mark.parametrize("frame", ["week", "no_limit"])
    def test_a_removal_that_was_replaced_since_is_no_row_to_swap(self, world: World, frame: str) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            player.set(bet=("week", "10"))
            player.set(bet=(frame, "no_limit"))
            row_id = pending_id(player)
            moment.tick(DAY)
            assert player.swap(row_id).status == player.swap(row_id).status == 200
            player.set(bet=("day", "10"))
            assert player.swap(row_id).status == 200, "another frame is another limit"
            player.set(bet=("week", "10"))
            assert player.swap(row_id) == refused("unknown_row")

    def test_changed_by_is_a_label_and_never_the_authority(self, player: Player) -> None:
        player.set(changed_by="operator", bet=("week", "10"), time_limit={"time_frame": "50_minutes"})
        player.set(changed_by="compliance", bet=("week", "20"))
        shown = player.get()
        for row, label in (
            (shown["active"]["bet"], "operator"),
            (shown["active"]["time_limit"], "operator"),
            (shown["pending"]["bet"], "compliance"),
        ):
            assert (row["changed_by"], row["label"]) == ("player", label)

    def test_a_quote_lives_a_quarter_of_an_hour_and_as_long_as_the_limits_it_was_reckoned_from(
        self, world: World
    ) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world)
            quote, other = (player.calculate(bet=("week", amount)).body for amount in ("10", "20"))
            moment.tick(timedelta(minutes=14, seconds=59))
            assert player.update(quote) == UPDATED
            assert player.update(other) == refused("stale_quote")
            late = player.calculate(loss=("week", "10")).body
            moment.tick(timedelta(minutes=15))
            assert player.update(late) == refused("stale_quote")

    @pytest.mark.parametrize(
        "wanted",
        [
            {"bet": change("week", "-1")},
            {"bet": change("week", "1.001")},
            {"bet": change("week", "1e3")},
            {"bet": change("week", "")},
            {"bet": change("year", "10")},
            {"bet": change("no_limit", "10")},
            {"bet": {"time_frame": "week"}},
            {"bet": {"new_amount": "10"}},
            {"bet": change("week", "10") | {"extra": 1}},
            {"bet": []},
            {"wins": change("week", "10")},
            {"reality_check": "45_min"},
            {"time_limit": {"time_frame": "0_minutes"}},
            {"time_limit": {"time_frame": "forever"}},
            {"changed_by": "x"},
            {},
            {"uuid": "", "bet": change("week", "10")},
        ],
        ids=str,
    )
    def test_what_cannot_be_a_limit_is_refused(self, player: Player, wanted: Any) -> None:
        reply = player.call("POST", "/player/limits/calculate/BRAND", {"uuid": "u", **wanted})
        assert reply == refused("invalid_request")
        assert player.world.count("limit_quote") == 0

    def test_above_the_operators_cap(self, world: World) -> None:
        player = Player(world, caps={"bet": {"EUR": "1000"}})
        for wanted in (("week", "1000.01"), ("week", "no_limit")):
            assert player.calculate(bet=wanted) == refused("above_cap")
        assert player.calculate(bet=("week", "1000")).status == 200
        assert player.call("GET", "/meta-data/BRAND/EUR").body["bet"]["maximum"] == "1000"

    def test_under_a_cap_the_last_limit_of_a_type_stays(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, caps={"bet": {"EUR": "1000"}})
            player.set(bet=("week", "100"))
            assert player.calculate(bet=("week", "no_limit")) == refused("above_cap")
            player.set(bet=("day", "50"))
            assert player.calculate(bet=("no_limit", "no_limit")) == refused("above_cap")
            for frame in ("week", "day"):
                player.set(bet=(frame, "no_limit"))
            moment.tick(DAY)
            ids = [row["row_id"] for row in player.get()["pending"]["bet"]["all"]]
            assert player.swap(*ids) == refused("above_cap")
            assert player.active() == {"week": "100", "day": "50"}
            assert player.swap(ids[0]).status == 200
            assert player.swap(ids[1]) == refused("above_cap")
            assert len(player.active()) == 1

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/player/limits/BRAND"),
            ("POST", "/player/limits/calculate/BRAND"),
            ("PUT", "/player/limits/BRAND"),
            ("PUT", "/player/delete/limits/BRAND"),
            ("PUT", "/player/swap/limits/BRAND"),
            ("GET", "/meta-data/BRAND/EUR"),
        ],
    )
    def test_brands_tokens_and_versions(self, player: Player, method: str, path: str) -> None:
        player.world.brand("nordbet", id_=1008, currency="SEK")
        for brand in (1008, 9, "x", "1007.0", "01007"):
            reply = player.call(method, path, {}, brand=brand)
            assert reply == (400, {"errMsg": "invalid input - invalid brand id", "code": "invalid_brand"})
        for token in ("", "x", player.token[:-1]):
            reply = player.call(method, path, {}, token=token)
            assert reply == (401, {"errMsg": "invalid input - invalid token", "code": "invalid_token"})
        other = player.world.client.open(f"/gateway/limits/v2{path}", method=method)
        assert other.status_code == 404

    def test_an_expired_session_says_so(self, world: World) -> None:
        expired = (401, {"errMsg": "invalid input - invalid token", "code": "session_expired"})
        unknown = (401, {"errMsg": "invalid input - invalid token", "code": "invalid_token"})
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player, other = Player(world), Player(world)
            world.configure(session_idle=3600)
            moment.tick(timedelta(hours=1, seconds=-1))
            assert player.call("GET", "/player/limits/BRAND").status == 200
            moment.tick(timedelta(seconds=1))
            assert other.call("GET", "/player/limits/BRAND") == expired
            moment.tick(timedelta(hours=1))
            assert player.call("GET", "/player/limits/BRAND") == expired
            with writing(world.engine) as session:
                customer, _ = customer_by_uid(session, client="acme", uid="7")
                new = sessions.start(
                    session, customer_id=customer.id, source="", now=clock.now(), idle=timedelta(hours=1)
                )
            assert player.call("GET", "/player/limits/BRAND") == expired, "also after the next login"
            assert world.client.delete(f"/v1/sessions/{new}/").status_code == 200
            assert player.call("GET", "/player/limits/BRAND", token=new) == unknown, "this one was ended"
            reply = world.client.get(f"/v1/sessions/{player.token}/")
            assert (reply.status_code, reply.get_json()["data"]["message"]) == (401, "the session has expired")

    def test_a_pending_limit_that_nobody_confirms_expires(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, pending_ttl="7d")
            player.set(bet=("week", "10"))
            player.set(bet=("week", "20"))
            row_id = pending_id(player)
            moment.tick(timedelta(days=8))
            assert player.swap(row_id) == refused("unknown_row")
            assert (player.active(), player.get()["pending"]) == ({"week": "10"}, {})

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
    def test_presets(self, world: World, preset: str, frame: str, effective: str) -> None:
        with freeze_time("2026-05-01T12:00:00Z"):
            player = Player(world, preset=preset)
            player.set(bet=(frame, "10"))
            assert player.set(bet=(frame, "20"))["bet"]["effective_of"] == effective

    def test_a_quote_is_reckoned_by_rules_that_may_change(self, world: World) -> None:
        with freeze_time("2026-05-31T22:50:00Z") as moment:
            player = Player(world, preset="sweden")
            player.set(bet=("month", "10"))
            quote = player.calculate(bet=("month", "20")).body
            moment.tick(timedelta(minutes=14))  # and a new month has begun, which has to end first
            assert player.update(quote) == refused("stale_quote")
            quote = player.calculate(bet=("month", "20")).body
            player.rules(preset="germany")
            assert player.update(quote) == refused("stale_quote")

    def test_what_was_asked_for_keeps_the_rules_that_it_was_asked_for_under(self, world: World) -> None:
        with freeze_time("2026-05-01T12:00:00Z") as moment:
            player = Player(world, confirm_required=False)
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
            assert player.swap(pending_id(player)) == refused("above_cap")

    @pytest.mark.parametrize("uuid", ["\ud800", "\u0000", "", None, [], {}, "x" * 65, -1])
    def test_a_reference_that_is_none_is_refused(self, player: Player, uuid: Any) -> None:
        for method, path in (("POST", "/player/limits/calculate/BRAND"), ("PUT", "/player/limits/BRAND")):
            body = {"uuid": uuid, "bet": change("week", "10")}
            assert player.call(method, path, body) == refused("invalid_request")

    def test_twins_may_be_left_out_of_either_of_two_updates(self, player: Player) -> None:
        quote = player.calculate(bet=("week", "10")).body
        bare = quote | {"bet": {"effective_of": "now", "time_frame": "week", "amount": "10"}}
        assert [player.update(body) for body in (quote, bare, quote)] == [UPDATED] * 3

    def test_a_reality_check_changes_at_once(self, player: Player) -> None:
        for period in ("15_min", "no_limit", "30_min"):
            player.set(reality_check=period)
            assert player.get()["reality_check"] == period


def test_bad_bodies_are_told_in_the_sources_envelope(player: Player) -> None:
    paths = ("/player/limits/calculate/1007", "/player/limits/1007", "/player/delete/limits/1007")
    for path in paths:
        method = "POST" if "calculate" in path else "PUT"
        for data in (b"", b"{", b"1", b"null", b'"x"', b'{"a":1,"a":2}', b"[" * 5000, b"[[]]", b"[null]", b"\xff"):
            response = player.world.client.open(
                f"/gateway/limits/v1{path}",
                method=method,
                data=data,
                headers={"x-auth-token": player.token},
                content_type="application/json",
            )
            assert response.status_code == 400, (path, data)
            assert response.get_json()["errMsg"].startswith("invalid input - ")


def test_the_session_tells_how_it_went(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        world.place(bet(1, "20.00"))
        moment.tick(timedelta(minutes=5))
        player = Player(world)
        moment.tick(timedelta(minutes=90))
        world.place(bet(2, "10.00"))
        world.settle(result(2, "25.00"))
        assert player.get()["session"] == {
            "started_at": "2026-05-01T12:05:00+00:00", "elapsed_minutes": 90, "net_result": "15.00", "currency": "EUR",
        }  # fmt: skip
