"""Quotes: idempotency by uuid, tampering, expiry and staleness."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.limits.player import UPDATED, GatewayPlayer, gateway_error
from tests.world import World


def test_repeated_uuid_has_the_same_answer_or_conflicts(player: GatewayPlayer) -> None:
    first = player.calculate("u", bet=("week", "10"))
    assert player.calculate("u", bet=("week", "10")) == first
    assert player.calculate("u", bet=("week", "11")) == gateway_error("uuid_conflict")
    for _ in range(2):
        assert player.update(first.body) == UPDATED
    assert player.update(first.body | {"reality_check": "15_min"}) == gateway_error("uuid_conflict")
    assert player.calculate("u", bet=("week", "10")) == first
    assert player.active() == {"week": "10"}


@pytest.mark.parametrize(
    ("tampered", "message"),
    [
        ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "999", "amount_left": "10"}},
         'bet.amount: "10" was calculated'),
        ({"bet": {"effective_of": "2026-01-01 00:00", "time_frame": "week", "amount": "10"}},
         'bet.effective_of: "now" was calculated'),
        ({"bet": {"time_frame": "week", "amount": "10"}}, 'bet.effective_of: "now" was calculated'),
        ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "10", "all": []}}, "bet.all: "),
        ({"bet": {"effective_of": "now", "time_frame": "week", "amount": "10", "more": 1}},
         "bet.more: not in the calculated quote"),
        ({"bet": "now"}, "bet: {"),
        ({"loss": {"effective_of": "now", "time_frame": "week", "amount": "10"}},
         "loss: not in the calculated quote"),
        ({"reality_check": "60_min"}, "reality_check: not in the calculated quote"),
        ({"x" * 1000: 1}, "a field: not in the calculated quote"),
        ({"uuid": "unknown"}, "uuid: no valid quote"),
    ],
    ids=str,
)  # fmt: skip
def test_tampered_quote_is_stale_and_names_the_field(player: GatewayPlayer, tampered: Any, message: str) -> None:
    player.set(bet=("day", "5"))
    before = player.active()
    quote = player.calculate(bet=("week", "10")).body
    reply = player.update(quote | tampered)
    assert reply == gateway_error("stale_quote")
    assert reply.body["errMsg"].startswith(f"invalid input - {message}")
    assert player.active() == before
    missing = player.update({"uuid": quote["uuid"]})
    assert missing.body["errMsg"].startswith("invalid input - bet: {")
    assert player.update(quote) == UPDATED, "the unchanged quote can still be applied"
    reply = player.update(quote | tampered)
    if "uuid" not in tampered:
        assert reply == gateway_error("uuid_conflict")
        assert message in reply.body["errMsg"]


def test_stale_quote_is_recalculated_under_its_uuid(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        first = player.calculate("u", bet=("week", "10"))
        moment.tick(timedelta(minutes=15))
        assert player.update(first.body) == gateway_error("stale_quote")
        assert player.calculate("u", bet=("week", "11")) == gateway_error("uuid_conflict")
        assert player.calculate("u", bet=("week", "10")) == first
        moment.tick(timedelta(minutes=14))
        assert player.update(first.body) == UPDATED, "the expired quote was recalculated"
        first = player.calculate("v", bet=("week", "10"))
        player.set(bet=("day", "5"))
        assert player.update(first.body) == gateway_error("stale_quote")
        anew = player.calculate("v", bet=("week", "10"))
        assert {one["time_frame"] for one in anew.body["bet"]["all"]} == {"day", "week"}, "from the current limits"
        assert player.update(anew.body) == UPDATED
        moment.tick(timedelta(hours=1))
        player.set(bet=("day", "4"))
        assert player.calculate("v", bet=("week", "10")) == anew, "an applied quote keeps its answer"
        assert player.update(anew.body) == UPDATED
        assert player.active() == {"day": "4", "week": "10"}


def test_quote_expires_after_15_minutes_or_when_limits_change(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
        quote, other = (player.calculate(bet=("week", amount)).body for amount in ("10", "20"))
        moment.tick(timedelta(minutes=14, seconds=59))
        assert player.update(quote) == UPDATED
        assert player.update(other) == gateway_error("stale_quote")
        late = player.calculate(loss=("week", "10")).body
        moment.tick(timedelta(minutes=15))
        assert player.update(late) == gateway_error("stale_quote")


def test_quote_is_stale_after_a_policy_change(world: World) -> None:
    with freeze_time("2026-05-31T22:50:00Z") as moment:
        player = GatewayPlayer(world, preset="sweden")
        player.set(bet=("month", "10"))
        quote = player.calculate(bet=("month", "20")).body
        moment.tick(timedelta(minutes=14))  # a new month has begun, so the raise must wait for its end
        assert player.update(quote) == gateway_error("stale_quote")
        quote = player.calculate(bet=("month", "20")).body
        player.rules(preset="germany")
        assert player.update(quote) == gateway_error("stale_quote")


def test_iso_fields_may_be_omitted_in_update(player: GatewayPlayer) -> None:
    quote = player.calculate(bet=("week", "10")).body
    bare = quote | {"bet": {"effective_of": "now", "time_frame": "week", "amount": "10"}}
    assert [player.update(body) for body in (quote, bare, quote)] == [UPDATED] * 3
