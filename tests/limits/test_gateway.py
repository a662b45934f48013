"""The limits gateway: the vendor's examples, authentication, validation and envelope of the six calls."""

from datetime import timedelta
from typing import Any

import pytest
from freezegun import freeze_time

from tests.limits.back_office import set_operator_limit
from tests.limits.player import DAY, UPDATED, GatewayPlayer, change, gateway_error, pending_id
from tests.world import World, bet, result
from wallet_hooks import clock
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity import login_sessions


def test_get_without_limits(player: GatewayPlayer) -> None:
    shown = player.get()
    undefined = dict.fromkeys(("time_frame", "amount", "amount_left", "end_time"), "undefined")
    for type_ in ("bet", "loss", "deposit"):
        assert shown["active"][type_] == undefined | {"changed_by": None, "all": []}
    assert (shown["pending"], shown["reality_check"]) == ({}, "undefined")


def test_get_calculate_and_update(world: World) -> None:
    with freeze_time("2017-01-17T12:00:00Z") as moment:
        player = GatewayPlayer(world)
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
        vendors_fields = {
            "uuid": "201608120826_1",
            "loss": {"effective_of": "now", "time_frame": "day", "amount": "200", "amount_left": "1"},
            "bet": {"effective_of": "2017-01-18 12:00", "time_frame": "week", "amount": "1500"},
            "reality_check": "60_min",
        }
        assert player.update(vendors_fields) == UPDATED
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
    names = ("time_frame", "amount", "amount_left", "changed_by", "label")
    assert {key: shown["active"]["loss"][key] for key in names} == {
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


def test_swap_and_delete_share_a_path(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player = GatewayPlayer(world)
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


def test_metadata(world: World) -> None:
    rules = {
        "defaults": {
            "bet": {"EUR": {"amount": "1000", "period": "week"}},
            "loss": {"EUR": {"amount": "10000", "period": "month"}},
        }
    }
    player = GatewayPlayer(world, **rules)
    assert player.call("GET", "/meta-data/BRAND/EUR").body == {
        "deposit": {"amount": "no_limit", "period": "no_limit"},
        "bet": {"amount": "1000", "period": "week"},
        "loss": {"amount": "10000", "period": "month"},
        "limit_periods": ["day", "week", "month", "no_limit"],
        "reality_check": {"period": "undefined", "options": ["15_min", "30_min", "60_min", "no_limit"]},
    }
    assert player.call("GET", "/meta-data/BRAND/JPY").body["bet"]["amount"] == "no_limit"
    assert player.call("GET", "/meta-data/BRAND/XQQ") == gateway_error("invalid_request")


def test_time_limit(world: World) -> None:
    with freeze_time("2018-06-18T17:38:23Z"):
        player = GatewayPlayer(world)
        player.set(time_limit={"time_frame": "50_minutes"})
        shown = player.get()["active"]["time_limit"]
    assert shown == {
        "brand_id": 1007, "player_id": shown["player_id"], "time_frame": "50_minutes", "status": "active",
        "changed_by": "player", "effective_of": "2018-06-18 17:38:23",
        "effective_of_at": "2018-06-18T17:38:23+00:00", "time_zone": "UTC",
    }  # fmt: skip


def test_time_limits_of_player_and_operator_are_all_shown(world: World) -> None:
    player = GatewayPlayer(world)
    player.set(time_limit={"time_frame": "50_minutes"})
    set_operator_limit(world, "time_limit", "session", 30)
    shown = player.get()["active"]["time_limit"]
    assert (shown["time_frame"], shown["changed_by"]) == ("30_minutes", "test")
    assert [(row["time_frame"], row["set_by"]) for row in shown["all"]] == [
        ("30_minutes", "operator"),
        ("50_minutes", "player"),
    ]


@pytest.mark.parametrize(
    "changes",
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
def test_invalid_limit_is_refused(player: GatewayPlayer, changes: Any) -> None:
    reply = player.call("POST", "/player/limits/calculate/BRAND", {"uuid": "u", **changes})
    assert reply == gateway_error("invalid_request")
    assert player.world.count("limit_quote") == 0


@pytest.mark.parametrize("uuid", ["\ud800", "\u0000", "", None, [], {}, "x" * 65, -1, " u", "u "])
def test_invalid_uuid_is_refused(player: GatewayPlayer, uuid: Any) -> None:
    for method, path in (("POST", "/player/limits/calculate/BRAND"), ("PUT", "/player/limits/BRAND")):
        body = {"uuid": uuid, "bet": change("week", "10")}
        assert player.call(method, path, body) == gateway_error("invalid_request")


def test_changed_by_is_a_label(player: GatewayPlayer) -> None:
    player.set(changed_by="operator", bet=("week", "10"), time_limit={"time_frame": "50_minutes"})
    player.set(changed_by="compliance", bet=("week", "20"))
    shown = player.get()
    for row, label in (
        (shown["active"]["bet"], "operator"),
        (shown["active"]["time_limit"], "operator"),
        (shown["pending"]["bet"], "compliance"),
    ):
        assert (row["changed_by"], row["label"]) == ("player", label)


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
def test_wrong_brand_token_and_version(player: GatewayPlayer, method: str, path: str) -> None:
    player.world.brand("nordbet", id_=1008, currency="SEK")
    for brand in (1008, 9, "x", "1007.0", "01007"):
        reply = player.call(method, path, {}, brand=brand)
        assert reply == (400, {"errMsg": "invalid input - invalid brand id", "code": "invalid_brand"})
    for token in ("", "x", player.token[:-1]):
        reply = player.call(method, path, {}, token=token)
        assert reply == (401, {"errMsg": "invalid input - invalid token", "code": "invalid_token"})
    other = player.world.client.open(f"/gateway/limits/v2{path}", method=method)
    assert other.status_code == 404


def test_expired_login_is_session_expired(world: World) -> None:
    expired = (401, {"errMsg": "invalid input - invalid token", "code": "session_expired"})
    unknown = (401, {"errMsg": "invalid input - invalid token", "code": "invalid_token"})
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        player, other = GatewayPlayer(world), GatewayPlayer(world)
        world.configure(session_idle=3600)
        moment.tick(timedelta(hours=1, seconds=-1))
        assert player.call("GET", "/player/limits/BRAND").status == 200
        moment.tick(timedelta(seconds=1))
        assert other.call("GET", "/player/limits/BRAND") == expired
        moment.tick(timedelta(hours=1))
        assert player.call("GET", "/player/limits/BRAND") == expired
        with writing(world.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid="7")
            new = login_sessions.start(
                session, customer_id=customer.id, source="", now=clock.now(), idle=timedelta(hours=1)
            )
        assert player.call("GET", "/player/limits/BRAND") == expired, "also after the next login"
        assert world.client.delete(f"/v1/sessions/{new}/").status_code == 200
        assert player.call("GET", "/player/limits/BRAND", token=new) == unknown, "a logout ends the login"
        reply = world.client.get(f"/v1/sessions/{player.token}/")
        assert (reply.status_code, reply.get_json()["data"]["message"]) == (401, "the session has expired")


def test_reality_check_changes_at_once(player: GatewayPlayer) -> None:
    for period in ("15_min", "no_limit", "30_min"):
        player.set(reality_check=period)
        assert player.get()["reality_check"] == period


def test_invalid_bodies_are_answered_in_the_vendors_envelope(player: GatewayPlayer) -> None:
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


def test_session_shows_duration_and_net_result(world: World) -> None:
    with freeze_time("2026-05-01T12:00:00Z") as moment:
        world.place(bet(1, "20.00"))
        moment.tick(timedelta(minutes=60))
        player = GatewayPlayer(world)
        moment.tick(timedelta(minutes=90))
        world.place(bet(2, "10.00"))
        world.settle(result(2, "25.00"))
        assert player.get()["session"] == {
            "started_at": "2026-05-01T13:00:00+00:00", "elapsed_minutes": 90, "net_result": "15.00", "currency": "EUR",
        }  # fmt: skip
