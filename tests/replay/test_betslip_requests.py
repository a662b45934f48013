"""Requests with betslip messages are replayed for the same games, with the same answers and in the same order."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.replay.case_databases import database_factory_on
from tests.replay.recording import CLOSED, SLIP, Recording, now, of_slip, pmm, send
from tests.replay.test_fixture import changed
from tests.test_commands import Shell
from tests.world import OK, World, bet, error
from wallet_hooks.database import writing
from wallet_hooks.replay.fixture import read_sequences
from wallet_hooks.replay.groups import independent_groups
from wallet_hooks.replay.running import RunOptions, run_sequences
from wallet_hooks.replay.signing import signature_headers

UNUSED: dict[str, Any] = {"sign": {}, "at": datetime.now(UTC), "wall": datetime.now(UTC)}


@pytest.fixture
def brands(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The brands acme and beta, whose games have the authentication hmac; those of beta share a secret."""
    for name in ("ONE", "TWO"):
        monkeypatch.setenv(name, f"{name * 10}:{name * 10}")
    world.brand("beta", id_=1008)
    world.customer("7", client="beta")
    world.provider("acme", game="signed", auth="hmac", secrets=("env:ONE",))
    for game in ("betflex", "signed"):
        world.provider("beta", game=game, auth="hmac", secrets=("env:TWO",))
    return world


def signed(body: Any, name: str) -> dict[str, Any]:
    secret, sent = f"{name * 10}:{name * 10}", json.dumps(body).encode()
    return {"headers": signature_headers("hmac", secret, client="", body=sent, **UNUSED)}


def test_messages_are_replayed_for_the_games_of_the_same_secret(brands: World, recording: Recording) -> None:
    for name, body in (("ONE", [pmm()]), ("TWO", CLOSED)):
        assert send(brands, body, **signed(body, name)) == OK
    for client, game, name, refusal in (
        ("acme", "signed", "ONE", "stake_above_maximum"),
        ("beta", "betflex", "TWO", "betslip_closed"),
        ("beta", "signed", "TWO", "betslip_closed"),
    ):
        bets = {"bets": [of_slip("b1", "20.51", client=client, game=game)]}
        assert brands.post("/bets", bets, **signed(bets, name)) == error(402, refusal), (client, game)
    recording.record()
    recording.run()


def test_a_capture_of_messages_alone_is_replayed(brands: World, recording: Recording) -> None:
    assert send(brands, CLOSED, **signed(CLOSED, "TWO")) == OK
    (case,) = recording.record()
    assert case.request["sign"] == {"brand": "beta", "game": "betflex"}
    assert [brand["client"] for brand in case.given["brands"]] == ["beta"]
    recording.run()


@pytest.mark.parametrize("good", [[pmm()], []])
def test_invalid_messages_get_the_same_answer(world: World, recording: Recording, good: list[Any]) -> None:
    reply = send(world, [*good, pmm(bookie=""), ["unknown", {}], pmm(currency="ABC"), ["pmm"]])
    assert [one["index"] for one in reply.body["messages"]] == [len(good) + place for place in (0, 2, 3)]
    taken = world.place(of_slip("b1", "20.51"))
    assert taken.status == (402 if good else 200)
    cases = recording.record()
    assert cases[0].expect == {"status": 400, "body": reply.body}
    recording.run()


def test_invalid_messages_are_replayed_by_a_provider_that_may_call_from_there(
    brands: World, recording: Recording
) -> None:
    brands.provider("acme", game="far", auth="basic", secrets=("env:ONE",), allow=("198.51.100.0/24",))
    brands.provider("acme", game="near", auth="basic", secrets=("env:TWO",), allow=("203.0.113.0/24",))
    with writing(brands.engine) as session:
        session.execute(text("DELETE FROM provider WHERE auth = 'hmac'"))
    brands.close_app()
    options = {"auth": ("TWO" * 10, "TWO" * 10), "environ_base": {"REMOTE_ADDR": "203.0.113.9"}}
    assert send(brands, [["pmm"]], **options).status == 400
    (case,) = recording.record()
    assert (case.request["sign"], case.request["from"]) == ({"brand": "acme", "game": "near"}, "203.0.113.9")
    recording.run()


def test_a_capture_with_messages_runs_on_postgresql(
    world: World, recording: Recording, templates: Any, tmp_path: Path
) -> None:
    send(world, pmm())
    begin = now()
    world.place(of_slip("b1", "20.51"))
    send(world, CLOSED)
    world.place(of_slip("b2"))
    recording.record("--from", begin)
    url, drop = templates.copy("postgresql", "migrated", tmp_path / "other.db")
    with database_factory_on(url) as new_database:
        results = list(run_sequences(read_sequences([recording.redacted]), new_database, RunOptions()))
    drop()
    assert [one.actual["status"] for one in results] == [402, 200, 402]
    assert [one.mismatches for one in results] == [[]] * 3


@pytest.mark.parametrize("messages", [["pmm", {}], {"data": 1}, [["pmm", {"betslip_id": SLIP}]]])
def test_invalid_messages_among_the_preconditions_are_a_difference(tmp_path: Path, messages: Any) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(changed("given", "betslips", to=[{"messages": messages}])))
    ran = Shell("sqlite:///unused.db").run("replay", "run", str(path))
    assert (ran.returncode, "valid preconditions" in ran.stdout) == (1, True)


@pytest.mark.parametrize(
    ("messages", "status"),
    [([{"index": 1}], 0), ([{"index": 0}], 1), ([], 1), ([{"index": 1, "error": {"_message": ["x"]}}], 1)],
)
def test_errors_of_messages_are_compared_unless_the_case_leaves_them_out(
    tmp_path: Path, messages: Any, status: int
) -> None:
    path = tmp_path / "case.json"
    request = {"path": "/betslips/messages", "body": [pmm(), ["pmm"]]}
    expect = {"status": 400, "body": {"error": "invalid_request", "messages": messages}}
    path.write_text(json.dumps({"v": 1, "name": "x", "request": request, "expect": expect}))
    assert Shell("sqlite:///unused.db").run("replay", "run", str(path)).returncode == status


def test_bets_of_a_betslip_stay_in_order_with_its_messages(world: World, recording: Recording) -> None:
    for uid in ("8", "9"):
        world.customer(uid)
    send(world, pmm())
    world.place(of_slip("b1", user=7))
    world.place(of_slip("b2", user=8))
    send(world, CLOSED)
    world.place(bet("b3", user=8))
    world.place(bet(SLIP, user=7))
    world.place(bet("b4", user=9))
    groups = independent_groups(recording.record())
    assert [[case.line for case in group] for group in groups] == [[1, 2, 3, 4, 5, 6], [7]]
    recording.run("--shuffle", "3")
    recording.run("--parallel", "4", "--clock", "now")


def test_messages_that_a_filter_skips_are_sent_before_the_next_case(world: World, recording: Recording) -> None:
    send(world, [pmm(), pmm(bookie="")])
    world.place(of_slip("b1", "20.00"))
    send(world, CLOSED)
    world.place(of_slip("b2", "20.00"))
    recording.record()
    for status in ("200", "402"):
        recording.run("--filter", f"status={status}", "--filter", "path=/bets")
