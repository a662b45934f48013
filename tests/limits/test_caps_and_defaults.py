"""The operator's caps, and defaults that apply to players who set no limit."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.limits.back_office import deposit, set_rules
from tests.limits.player import DAY, GatewayPlayer, gateway_error
from tests.world import OK, World, bet, error, refund
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.identity.service import brand_by_client


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
def test_defaults_apply_to_players_without_a_limit(
    world: World, rules: dict[str, Any], within: str, above: str
) -> None:
    set_rules(world, **rules)
    assert world.place(bet(1, "30.00")) == OK, "without defaults_apply, defaults are shown but not enforced"
    world.cancel(refund(1, amount="30.00"))
    set_rules(world, **rules, defaults_apply=True)
    assert world.place(bet(2, "20.01")) == error(402, above)
    assert world.place(bet(3, within)) == OK
    assert world.place(bet(4, "0.01")) == error(402, above)
    assert world.differences() == []


def test_cap_applies_per_day_and_in_its_currency_only(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        set_rules(world, caps={"bet": {"EUR": "10"}}, defaults_apply=True)
        world.customer("8", currency="GBP")
        assert world.place(bet(1)) == OK
        assert world.place(bet(2, "0.01")) == error(402, "bet_limit_exceeded")
        assert world.place(bet(3, "50.00", user=8, currency="GBP")) == OK
        moment.tick(timedelta(days=1))
        assert world.place(bet(4)) == OK


def test_germany_limits_deposits_to_1000_euros_a_month(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
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
        assert world.place(bet(1, "1.01")) == error(402, "bet_limit_exceeded"), "the brand's own default applies too"
        moment.move_to("2026-06-01T12:00:00Z")
        deposit(world, 100_000, "D3")


def test_limit_above_the_default_is_a_raise_and_below_it_active_at_once(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(
            world, defaults={"bet": {"EUR": {"amount": "20", "period": "week"}}}, defaults_apply=True
        )
        assert player.set(bet=("week", "50"))["bet"]["effective_of"] == "2026-05-02 12:00"
        assert player.active() == {"week": "20"}
        quote = player.set(bet=("day", "40"))["bet"]
        assert (quote["effective_of"], [row["amount"] for row in quote["all"]]) == ("now", ["40", "20"])
        assert player.active() == {"day": "40", "week": "20"}, "another frame is an addition"
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert player.active() == {"day": "40", "week": "50"}
        assert player.set(bet=("week", "no_limit"))["bet"]["effective_of"] == "now", "the default is lower"
        assert player.active() == {"day": "40", "week": "20"}
        assert player.set(bet=("week", "10"))["bet"]["effective_of"] == "now"
        assert player.set(bet=("week", "no_limit"))["bet"]["effective_of"] == "2026-05-03 12:00"
        assert player.active() == {"day": "40", "week": "10"}
        assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")


def test_own_limit_can_be_removed_where_a_cap_is_the_default(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, caps={"bet": {"EUR": "50"}}, defaults_apply=True)
        player.set(bet=("week", "20"))
        player.set(bet=("week", "no_limit"))
        moment.tick(timedelta(days=1))
        assert player.swap(player.get()["pending"]["bet"]["row_id"]).status == 200
        assert player.active() == {"day": "50"}


def test_unconfigured_currency_in_a_policy_leaves_other_rules_active(world: World) -> None:
    set_rules(world, caps={"bet": {"EUR": "10"}, "loss": {"EUR": "10"}}, defaults_apply=True)
    with writing(world.engine) as session:
        brand = brand_by_client(session, "acme")
        limits = {**brand.policy["limits"], "caps": {"bet": {"EUR": "10", "XYZW": "1"}}}
        brand.policy = {**brand.policy, "limits": limits}
    world.close_app()
    assert world.place(bet(1, "10.01")) == error(402, "bet_limit_exceeded")


def test_limit_above_the_cap_is_refused(world: World) -> None:
    player = GatewayPlayer(world, caps={"bet": {"EUR": "1000"}})
    for requested in (("week", "1000.01"), ("week", "no_limit")):
        assert player.calculate(bet=requested) == gateway_error("above_cap")
    assert player.calculate(bet=("week", "1000")).status == 200
    assert player.call("GET", "/meta-data/BRAND/EUR").body["bet"]["maximum"] == "1000"


def test_a_limit_from_before_the_cap_may_be_lowered_in_steps(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(bet=("week", "500"))
    player.set(bet=("week", "600"))
    player.rules(caps={"bet": {"EUR": "100"}})
    assert player.calculate(bet=("week", "501")) == gateway_error("above_cap")
    assert player.calculate(bet=("day", "500")) == gateway_error("above_cap"), "a frame without a limit"
    player.set(bet=("week", "500"))
    assert "bet" not in player.get()["pending"], "the raise is cancelled"
    player.set(bet=("week", "200"))
    assert player.active() == {"week": "200"}
    assert player.calculate(bet=("week", "500")) == gateway_error("above_cap")


def test_a_default_above_the_cap_is_refused(world: World) -> None:
    defaults = {"bet": {"EUR": {"amount": "500", "period": "week"}}}
    with pytest.raises(RefusedError, match="above the cap"):
        set_rules(world, caps={"bet": {"EUR": "499.99"}}, defaults=defaults)
    set_rules(world, caps={"bet": {"EUR": "500"}}, defaults=defaults)


def test_last_limit_of_a_type_under_a_cap_cannot_be_removed(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world, caps={"bet": {"EUR": "1000"}})
        player.set(bet=("week", "100"))
        assert player.calculate(bet=("week", "no_limit")) == gateway_error("above_cap")
        player.set(bet=("day", "50"))
        assert player.calculate(bet=("no_limit", "no_limit")) == gateway_error("above_cap")
        for frame in ("week", "day"):
            player.set(bet=(frame, "no_limit"))
        moment.tick(DAY)
        ids = [row["row_id"] for row in player.get()["pending"]["bet"]["all"]]
        assert player.swap(*ids) == gateway_error("above_cap")
        assert player.active() == {"week": "100", "day": "50"}
        assert player.swap(ids[0]).status == 200
        assert player.swap(ids[1]) == gateway_error("above_cap")
        assert len(player.active()) == 1
