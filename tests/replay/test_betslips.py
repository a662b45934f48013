"""Captures have the betslip messages that their bets depend on, and replay to the recorded answers."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text

from tests.replay.recording import CLOSED, SLIP, Recording, given, now, of_slip, pmm, send
from tests.test_commands import Shell
from tests.world import OK, World, bet, error
from wallet_hooks import clock
from wallet_hooks.betslips.intake import Body, parse_body, store_bodies
from wallet_hooks.database import writing
from wallet_hooks.identity.service import brand_by_client, set_policy
from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.web.requests import new_request_id


def test_messages_from_before_a_capture_are_preconditions_of_the_first_bet(world: World, recording: Recording) -> None:
    named = ["betslip", {"betslip_id": SLIP, "customer_username": "nobody", "sport": "fb"}]
    send(world, named)
    send(world, {"ts": 12.5, "data": [pmm(), pmm(bookie="b2")]})
    send(world, {"ts": 12.5, "data": [pmm(username="w"), pmm(betslip_id="other")]})
    send(world, {"ts": 13, "data": [pmm(most=30.5)]})
    begin = now()
    assert world.place(of_slip("b1", "71.51")) == error(402, "stake_above_maximum")
    assert world.place(of_slip(2, "71.50")) == OK
    assert world.place(bet("free", "1.00")) == OK
    cases = recording.record("--from", begin)
    messages = [
        [named],
        {"ts": 12.5, "data": [pmm(), pmm(bookie="b2"), pmm(username="w")]},
        {"ts": 13, "data": [pmm(most=30.5)]},
    ]
    assert given(cases) == [{"brand": "acme", "game": "betflex", "messages": one} for one in messages]
    assert [given(cases, line) for line in (1, 2)] == [None, None]
    recording.run()


def test_messages_of_a_capture_are_lines_of_their_own(world: World, recording: Recording) -> None:
    send(world, [pmm()])
    assert world.place(of_slip("b1", "20.51")) == error(402, "stake_above_maximum")
    send(world, {"ts": 1, "data": [pmm(most=30.0)]})
    assert world.place(of_slip("b2", "20.51")) == OK
    send(world, CLOSED)
    assert world.place(bet(SLIP)) == error(402, "betslip_closed")
    cases = recording.record()
    assert [case.request["path"] for case in cases] == ["/betslips/messages", "/bets"] * 3
    assert [case.request["body"] for case in cases[::2]] == [[pmm()], {"ts": 1, "data": [pmm(most=30.0)]}, CLOSED]
    assert not any(given(cases, line) for line in range(6))
    recording.run()
    recording.run("--duplicate", "2")


@pytest.mark.parametrize("options", [["--bet", "b2"], ["--status", "402"]])
def test_a_filter_that_leaves_out_messages_gives_them_to_the_bets(
    world: World, recording: Recording, options: list[str]
) -> None:
    """Each message that is left out comes before the bets after it, and after the bets before it."""
    send(world, [pmm(most=10.0)])
    world.place(of_slip("b1", "15.00"))
    send(world, [pmm(most=20.0)])
    send(world, [pmm(), pmm(username="")])
    assert world.place(of_slip("b2", "25.00")) == error(402, "stake_above_maximum")
    send(world, [pmm(most=30.0)])
    assert world.place(of_slip("b3", "25.00")) == OK
    send(world, CLOSED)
    assert world.place(of_slip("b4")) == error(402, "betslip_closed")
    found = recording.record(*options)
    messages = [one["messages"] for case in found for one in case.given["betslips"]]
    before: list[Any] = [[pmm(most=10.0)], [pmm(most=20.0), pmm()], [pmm(most=30.0), CLOSED]]
    assert messages == ([before[0] + before[1]] if "--bet" in options else before)
    recording.run()


def test_the_same_message_again_is_given_again(world: World, recording: Recording) -> None:
    for message in (pmm(most=30.0), pmm(most=10.0), pmm(most=30.0)):
        send(world, message)
    send(world, {"ts": 1, "data": [["betslip", {"betslip_id": SLIP}]]})
    send(world, pmm(most=10.0))
    send(world, {"ts": 1, "data": [["betslip", {"betslip_id": SLIP}]]})
    send(world, pmm(most=30.0))
    begin = now()
    assert world.place(of_slip("b1", "30.01")) == error(402, "stake_above_maximum")
    assert world.place(of_slip("b2", "30.00")) == OK
    assert len(given(recording.record("--from", begin))) == 5
    recording.run()


def test_a_betslip_of_two_games_is_given_to_each(world: World, recording: Recording) -> None:
    world.provider(game="other")
    send(world, [pmm()])
    begin = now()
    assert world.place(of_slip("b1", "20.51")) == error(402, "stake_above_maximum")
    assert world.place(of_slip("b1", "20.51", game="other")) == error(402, "stake_above_maximum")
    cases = recording.record("--from", begin)
    assert [given(cases, line)[0]["game"] for line in range(2)] == ["betflex", "other"]
    recording.run()


def test_numbers_are_recorded_exactly(world: World, recording: Recording) -> None:
    message = json.dumps(pmm(username="w")).replace("20.5", "20.50").replace("5.0", "0.01e2").replace(" ", "")
    for ts in ("1477526400.120", "1477526400120000.001"):
        assert send(world, f'{{"ts":{ts},"data":[{message}]}}'.encode()) == OK
    begin = now()
    assert world.place(of_slip("b1", "20.51")) == error(402, "stake_above_maximum")
    first, second = given(recording.record("--from", begin))
    assert encode_body(first, "messages") == f'{{"ts":1477526400.120,"data":[{message}]}}'.encode()
    assert encode_body(second, "messages") == f'{{"ts":1477526400120000.001,"data":[{message}]}}'.encode()
    recording.run()


def test_the_policy_betslip_required_is_recorded(world: World, recording: Recording) -> None:
    with writing(world.engine) as session:
        set_policy(session, client="acme", preset=None, rules={"betslip_required": True})
    world.close_app()
    send(world, pmm())
    begin = now()
    assert world.place(of_slip("b1")) == OK
    assert world.place(bet("b2")) == error(402, "betslip_unknown")
    (brand,) = recording.record("--from", begin)[0].given["brands"]
    assert brand["policy"] == {"betslip_required": True}
    recording.run()


def test_a_betslip_that_was_closed_as_stale_is_given_as_closed(world: World, recording: Recording) -> None:
    send(world, pmm())
    assert world.place(of_slip("b1")) == OK
    with writing(world.engine) as session:
        session.execute(text("UPDATE betslip SET changed_at = '2020-01-01 00:00:00+00:00'"))
    Shell(world.settings.database_url).ok("betslips", "prune")
    assert world.place(of_slip("b2")) == error(402, "betslip_closed")
    (stale,) = given(recording.record(), 2)
    assert stale["messages"] == [["betslip_closed", {"betslip_id": SLIP, "close_reason": "stale"}]]
    recording.run()


def test_messages_from_the_platforms_stream_are_given_to_the_game_that_follows_it(
    world: World, recording: Recording
) -> None:
    """A frame may have more messages than a request."""
    world.provider(game="other")
    with writing(world.engine) as session:
        place = (brand_by_client(session, "acme").id, "betflex")
    frame = json.dumps([pmm(username=str(number)) for number in range(1001)]).encode()
    body = Body(new_request_id(datetime.now(UTC)), datetime.now(UTC), "", frame, clock.monotonic())
    store_bodies(world.engine, [parse_body(body, most=2000)], [place])
    assert world.place(of_slip("b1", "4.99")) == error(402, "stake_below_minimum")
    assert world.place(of_slip("b1", "4.99", game="other")) == OK
    cases = recording.record()
    assert [case.request["path"] for case in cases] == ["/bets", "/bets"]
    assert [len(one["messages"]) for one in given(cases)] == [1000, 1]
    recording.run()


def test_messages_whose_delivery_was_deleted_are_given(world: World, recording: Recording) -> None:
    send(world, pmm())
    with writing(world.engine) as session:
        session.execute(text("DELETE FROM delivery"))
    assert world.place(of_slip("b1", "20.51")) == error(402, "stake_above_maximum")
    assert [one["messages"] for one in given(recording.record())] == [[pmm()]]
    recording.run()


def test_more_messages_than_a_request_may_have_are_several_preconditions(world: World, recording: Recording) -> None:
    send(world, [pmm(username=str(number)) for number in range(600)])
    send(world, [pmm(most=1.0, username=str(number)) for number in range(600)])
    begin = now()
    assert world.place(of_slip("b1", "600.01")) == error(402, "stake_above_maximum")
    found = given(recording.record("--from", begin))
    assert [len(one["messages"]) for one in found] == [1000, 200]
    recording.run()


def test_rates_into_the_currency_of_a_bet_are_recorded(world: World, recording: Recording) -> None:
    shell = Shell(world.settings.database_url)
    for source, target, rate in (("GBP", "USD", "1.25"), ("USD", "EUR", "0.9")):
        shell.ok("rate", "set", source, target, rate)
    send(world, pmm(currency="GBP", most=20.0))
    begin = now()
    assert world.place(of_slip("b1", "25.01", currency="USD")) == error(402, "stake_above_maximum")
    assert world.place(of_slip("b2", "25.00", currency="USD")) == OK
    recording.record("--from", begin)
    recording.run()
