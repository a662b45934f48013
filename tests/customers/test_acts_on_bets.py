"""What is changed of a customer, a brand or an event acts on the very next bet."""

from pathlib import Path
from typing import Any

import pytest
from freezegun import freeze_time
from mmdb_writer import MMDBWriter
from netaddr import IPSet

from tests.desk import Desk
from tests.groups import statuses_of_group
from tests.world import OK, World, bet, error, refund, refused, result
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.identity.service import set_countries
from wallet_hooks.ledger.rates import set_rate
from wallet_hooks.settings import ConfigurationError
from wallet_hooks.sportsbook.event_map import map_events
from wallet_hooks.web.countries import Countries

OF_ANN = "/v1/customers/ann/"


@pytest.fixture
def geoip(tmp_path: Path) -> str:
    """A small file in MaxMind's format, of three networks that are for examples."""
    writer = MMDBWriter(ip_version=6, ipv4_compatible=True, database_type="Test-Country")
    writer.insert_network(IPSet(["203.0.113.0/24"]), {"country": {"iso_code": "GB"}})
    writer.insert_network(IPSet(["198.51.100.0/24", "2001:db8::/32"]), {"country": {"iso_code": "US"}})
    writer.insert_network(IPSet(["192.0.2.0/24"]), {"continent": {"code": "EU"}})
    path = tmp_path / "countries.mmdb"
    writer.to_db_file(str(path))
    return str(path)


def countries(world: World, *, allow: tuple[str, ...] = (), deny: tuple[str, ...] = ()) -> None:
    with writing(world.engine) as session:
        set_countries(session, client="acme", allow=allow, deny=deny)


@pytest.mark.parametrize(
    ("change", "back", "code"),
    [
        ({"active": False}, {"active": True}, "customer_inactive"),
        ({"locked": True}, {"locked": False}, "customer_locked"),
        ({"expires_at": "2020-01-01"}, {"expires_at": None}, "customer_expired"),
        ({"roles": {"bet_placer": False}}, {"roles": {"bet_placer": True}}, "betting_not_permitted"),
        ({"max_stake_per_event": ["EUR", 9.99]}, {"max_stake_per_event": ["EUR", 10]}, "event_stake_exceeded"),
    ],
    ids=str,
)
def test_a_change_is_seen_by_the_next_bet(desk: Desk, change: Any, back: Any, code: str) -> None:
    desk.ok("boss", "PATCH", OF_ANN, change)
    assert desk.world.place(bet(1)) == error(402, code)
    desk.ok("boss", "PATCH", OF_ANN, back)
    assert desk.world.place(bet(2)) == OK
    assert desk.world.place(bet(1)) == error(402, code), "a refusal sticks"


def test_a_credit_limit_below_what_is_used_stops_new_bets_and_nothing_else(desk: Desk) -> None:
    desk.ok("boss", "PATCH", OF_ANN, {"credit_limit": ["EUR", 50]})
    assert desk.world.place(bet(1, "140.00")) == OK
    desk.ok("boss", "PATCH", OF_ANN, {"credit_limit": ["EUR", 20]})
    assert desk.world.place(bet(2, "0.01")) == error(402, "credit_limit_exceeded")
    assert desk.world.settle(result(1, "150.00")) == OK
    assert desk.world.place(bet(3, "130.00")) == OK
    assert desk.world.balance() == "-20.00"


@pytest.mark.parametrize(
    ("ip", "allow", "deny", "is_taken"),
    [
        ("203.0.113.9", ("GB",), (), True),
        ("203.0.113.9", ("IE",), (), False),
        ("203.0.113.9", (), ("GB",), False),
        ("203.0.113.9", (), ("US",), True),
        ("203.0.113.9", ("GB", "US"), ("GB",), False),
        ("198.51.100.7", ("GB",), (), False),
        ("2001:db8::1", ("US",), (), True),
        ("::ffff:203.0.113.9", ("GB",), (), True),
        ("192.0.2.1", ("GB",), (), False),
        ("192.0.2.1", (), ("US",), False),
        ("10.0.0.1", (), (), True),
        ("not an address", (), ("US",), False),
        (None, ("GB",), (), False),
    ],
    ids=str,
)
def test_a_bet_comes_from_a_country_that_the_brand_permits(
    world: World, geoip: str, ip: str | None, allow: tuple[str, ...], deny: tuple[str, ...], is_taken: bool
) -> None:
    world.configure(geoip_file=geoip)
    countries(world, allow=allow, deny=deny)
    placed = bet()
    placed["user"]["ip"] = ip
    assert world.place(placed) == (OK if is_taken else error(402, "country_not_permitted"))


def test_country_rules_apply_at_once_and_refuse_bets_without_a_country_file(world: World) -> None:
    assert world.place(bet(1)) == OK
    countries(world, deny=("US",))
    assert world.place(bet(2)) == error(402, "country_not_permitted")
    countries(world)
    assert world.place(bet(3)) == OK


@pytest.mark.parametrize("content", [None, b"", b"not a database"])
def test_an_invalid_country_file_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "countries.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="WALLET_HOOKS_GEOIP_FILE"):
        Countries(str(path))


def test_can_place_bets_answers_as_a_bet_would_be(desk: Desk, geoip: str) -> None:
    def answer_from(address: str) -> Any:
        return desk.ok("ann", "GET", f"{OF_ANN}can_place_bets/", environ_base={"REMOTE_ADDR": address})

    expected = {"can_place_bets": True, "reason": None, "ip_address": "203.0.113.9", "country": None}
    assert answer_from("203.0.113.9") == expected
    countries(desk.world, allow=("GB",))
    assert answer_from("203.0.113.9") == expected | {"can_place_bets": False, "reason": "country_unknown"}
    desk.world.configure(geoip_file=geoip)
    assert answer_from("203.0.113.9") == expected | {"country": "GB"}
    refused = {"can_place_bets": False, "reason": "country_not_permitted", "ip_address": "2001:db8::1", "country": "US"}
    assert answer_from("2001:db8::1") == refused
    desk.ok("boss", "PATCH", OF_ANN, {"roles": {"bet_placer": False}})
    assert answer_from("203.0.113.9")["reason"] == "betting_not_permitted"


def test_coupons_of_one_event_count_together(world: World) -> None:
    world.customer("8", stake_limit="30.00")
    assert world.place(bet(1, user=8, pool=501)) == OK
    with writing(world.engine) as session:
        map_events(session, [("betflex", "501", "final"), ("betflex", "502", "final"), ("other", "503", "final")])
    assert world.place(bet(2, user=8, pool=502)) == OK
    assert world.place(bet(3, "10.01", user=8, pool=501)) == error(402, "event_stake_exceeded")
    both = bet(4, "6.00", user=8, pool=501), bet(5, "6.00", user=8, pool=502)
    assert world.place(*both) == refused("event_stake_exceeded", "5"), "within one request too"
    assert world.place(bet(6, "30.00", user=8, pool=503)) == OK
    world.settle(result(2, "0", user="8", outcome="lost"))
    assert world.place(bet(7, "10.01", user=8, pool=501)) == error(402, "event_stake_exceeded"), "settled counts"
    world.cancel(refund(1, user="8"))
    assert world.place(bet(8, "20.00", user=8, pool=502)) == OK
    with writing(world.engine) as session:
        map_events(session, [("betflex", "502", "semifinal")])
    assert world.place(bet(9, "30.00", user=8, pool=501)) == OK, "a map that changes is followed"


@pytest.mark.parametrize(
    ("first", "statuses"),
    [
        (("/bets/cancel", refund(1, user="8")), [200, 200]),
        (("/winners", result(1, "10.00", user="8", outcome="void")), [200, 200]),
        (("/winners", result(1, "0", user="8", outcome="lost")), [200, 402]),
    ],
)
def test_a_group_counts_a_bet_that_it_returns_on_its_coupons_event(
    world: World, first: tuple[str, Any], statuses: list[int]
) -> None:
    world.customer("8", stake_limit="15.00")
    with writing(world.engine) as session:
        map_events(session, [("betflex", "501", "final"), ("betflex", "502", "final")])
    assert world.place(bet(1, user=8, pool=501)) == OK
    assert statuses_of_group(world, first, ("/bets", bet(2, user=8, pool=502))) == statuses


def test_commission_is_taken_of_net_winnings_at_the_rate_of_the_stake(desk: Desk) -> None:
    world = desk.world
    rate = {"commission_rate": {"date_from": "2020-01-01", "rate_pc": 2.5}}
    desk.ok("boss", "PATCH", OF_ANN, rate)
    for uid in (1, 2, 3, 4):
        assert world.place(bet(uid)) == OK
    desk.ok("boss", "PATCH", OF_ANN, {"commission_rate": {"date_from": "2020-01-01", "rate_pc": 50}})
    world.settle(result(1, "30.20"))  # 2.5 % of 20.20 is 0.505: to the even cent
    assert world.balance() == "89.70"
    assert world.house_balance("income:commission:acme") == -50
    world.settle(result(2, "10.00", outcome="void"))
    world.settle(result(3, "0", outcome="lost"))
    world.settle(result(4, "9.00", outcome="half lost"))
    assert world.house_balance("income:commission:acme") == -50
    assert world.balance() == "108.70"
    assert world.settle(result(1, "10.00", outcome="void")) == OK
    assert world.house_balance("income:commission:acme") == 0
    assert world.balance() == "89.00"
    assert world.wager(1)["commission_rate"] == "2.5"
    assert world.differences() == []


def test_commission_on_a_bet_in_another_currency_is_owed_at_home(desk: Desk) -> None:
    with writing(desk.world.engine) as session:
        set_rate(session, source="GBP", target="EUR", rate="1.20", now=clock.now())
    desk.ok("boss", "PATCH", OF_ANN, {"commission_rate": {"date_from": "2020-01-01", "rate_pc": 10}})
    assert desk.world.place(bet(1, "10.00", currency="GBP")) == OK
    assert desk.world.settle(result(1, "20.00", currency="GBP")) == OK
    assert desk.world.balance() == "110.80"  # 100 - 12 + 24 - 10 % of 12
    assert desk.world.differences() == []


def test_a_rate_comes_into_force_at_the_brands_midnight(desk: Desk) -> None:
    with freeze_time("2026-07-01T22:30:00Z") as moment:
        desk.ok("boss", "PATCH", OF_ANN, {"commission_rate": {"date_from": "2026-07-02", "rate_pc": 10}})
        desk.world.place(bet(1))
        moment.move_to("2026-07-01T23:00:00Z")
        desk.world.place(bet(2))
    assert desk.world.wager(1)["commission_rate"] is None
    assert desk.world.wager(2)["commission_rate"] == "10"
