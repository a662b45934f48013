"""Replaying a capture with country rules and commission rates gives the recorded answers."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from freezegun import freeze_time
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from tests.replay.test_fixture import CASE, changed
from tests.test_commands import Shell
from tests.world import World, bet, result
from wallet_hooks.database import writing
from wallet_hooks.identity.service import set_countries
from wallet_hooks.replay.case_database import temporary_database_factory
from wallet_hooks.replay.fixture import read_cases, read_sequences
from wallet_hooks.replay.running import RunOptions, run_sequences

SHELL = Shell("sqlite:///unused.db")
PLACES = {"203.0.113.9": "GB", "198.51.100.7": "US", "2001:db8::1": "US", "192.0.2.1": None, "nowhere": None}
ANSWERS = {"GB": 200, "US": 402, None: 402}


@pytest.fixture
def geoip(tmp_path: Path) -> str:
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test-Country")
    for address, country in PLACES.items():
        if country is not None:
            writer.insert_network(IPSet([address]), {"country": {"iso_code": country}})
    path = tmp_path / "countries.mmdb"
    writer.to_db_file(str(path))
    return str(path)


@pytest.fixture
def capture(world: World, geoip: str, tmp_path: Path) -> Path:
    """A capture of bets from all places, and their settlements, before and after a second commission rate applies."""
    world.configure(geoip_file=geoip)
    world.customer("8", currency="EUR", credit_limit="50.00", roles=("customer", "bet_placer", "group_spy"))
    shell = Shell(world.settings.database_url)
    for day, percent in (("2031-03-01", "2.5"), ("2031-03-29", "10"), ("2031-05-01", "0.000001")):
        options = ["--commission-rate", percent, "--commission-from", day]
        shell.ok("customer", "change", "--brand", "acme", "--uid", "7", *options)
    with writing(world.engine) as session:
        set_countries(session, client="acme", allow=("GB", "IE"), deny=("US",))
    with freeze_time("2031-03-28T23:59:50Z", tick=True) as moment:
        for night in range(2):
            for number, (address, country) in enumerate(PLACES.items()):
                placed = bet(10 * night + number, user=7 + number % 2)
                placed["user"]["ip"] = address
                assert world.place(placed).status == ANSWERS[country], address
            for number in range(len(PLACES)):
                world.settle(result(10 * night + number, "30.00", user=str(7 + number % 2)))
            moment.move_to("2031-03-29T00:00:10Z")
    assert world.balance("7") == "137.50", "40.00 of winnings, less 2.5 % and 10 % of 20.00 each"
    path = tmp_path / "capture.jsonl"
    recorded = shell.run("replay", "record", "-o", str(path), WALLET_HOOKS_GEOIP_FILE=geoip)
    assert recorded.returncode == 0, recorded.stderr
    return path


def test_a_capture_with_brand_rules_can_be_redacted_linted_and_run(world: World, capture: Path, tmp_path: Path) -> None:
    shell = Shell(world.settings.database_url)
    redacted = tmp_path / "redacted.jsonl"
    shell.ok("replay", "redact", str(capture), "-o", str(redacted))
    for address in PLACES:
        assert address not in redacted.read_text()
    shell.ok("replay", "lint", str(redacted))
    for path in (capture, redacted):
        ran = shell.run("replay", "run", str(path))
        assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "20 cases: 20 passed, 0 failed")


def test_a_capture_has_country_rules_commission_rates_and_countries(capture: Path) -> None:
    cases = list(read_cases(capture))
    (brand,) = {json.dumps(one): one for case in cases for one in case.given.get("brands", ())}.values()
    assert (brand["allow_countries"], brand["deny_countries"]) == (["GB", "IE"], ["US"])
    customers = {one["uid"]: one for case in cases for one in case.given.get("customers", ())}
    assert customers["7"]["commission_rates"] == [
        {"from": "2031-03-01", "percent": "2.5"},
        {"from": "2031-03-29", "percent": "10"},
        {"from": "2031-05-01", "percent": "0.000001"},
    ]
    assert "commission_rates" not in customers["8"]
    assert customers["8"]["roles"] == ["bet_placer", "customer", "group_spy"]
    given = [place for case in cases for place in case.given.get("countries", ())]
    assert given == [{"address": one, "country": code} for one, code in PLACES.items() if one != "nowhere"]


def test_a_replay_gives_the_same_balances(world: World, capture: Path) -> None:
    with temporary_database_factory() as new_database, new_database() as database:
        results = list(run_sequences(read_sequences([capture]), lambda: nullcontext(database), RunOptions()))
        assert [
            (case_result.case.where, case_result.mismatches) for case_result in results if not case_result.passed
        ] == []
        keys = ["acme/7:EUR", "acme/8:EUR"]
        assert database.balances(keys) == dict(zip(keys, [world.balance("7"), world.balance("8")], strict=True))


def test_preconditions_may_have_dated_commission_rates_and_countries(tmp_path: Path) -> None:
    case = {
        **CASE,
        "given": {
            "brands": [{"client": "acme", "deny_countries": ["US"]}],
            "customers": [
                {"uid": 7, "balance": "100.00", "commission_rate": "1", "commission_rates": [
                    {"from": "2026-05-01", "percent": "10"}]},
            ],
            "countries": [{"address": "203.0.113.9", "country": "GB"}],
            "requests": [{"path": "/bets", "body": {"bets": [bet(5)]}}],
        },
        "request": {"path": "/winners", "body": {"pools": [result(5, "30.00")]}},
        "expect": {"status": 200, "balances": {"7:EUR": "118.00"}},
    }  # fmt: skip
    path = tmp_path / "case.json"
    for at, status in (("2026-05-01T12:00:00Z", 0), ("2026-04-30T12:00:00Z", 1)):
        path.write_text(json.dumps(case | {"at": at}))
        assert SHELL.run("replay", "run", str(path)).returncode == status
    for wrong in (
        changed("given", "customers", 0, "commission_rates", to=[{"from": "2026-02-30", "percent": "1"}]),
        changed("given", "countries", to=[{"address": "203.0.113.9", "country": "Britain"}]),
        changed("given", "countries", to=[{"address": "nowhere", "country": "GB"}]),
    ):
        path.write_text(json.dumps(wrong))
        assert SHELL.run("replay", "run", str(path)).returncode in (1, 2), wrong
