"""What a hostile or broken sender tries, and what it gets."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.service import post, served
from tests.sportsbook.test_concurrency import at_once
from tests.world import OK, World, bet, error, failed, refund, result
from wallet_hooks import clock
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.ledger.service import set_rate


def rate(world: World, source: str, target: str, value: str) -> None:
    with writing(world.engine) as session:
        set_rate(session, source=source, target=target, rate=value, now=clock.now())


def test_a_payout_that_no_account_can_hold_is_refused_for_a_person(world: World) -> None:
    world.customer("8", currency="IDR")
    rate(world, "USD", "IDR", "16000")
    assert world.place(bet(user=8, currency="USD", amount="0")) == OK
    reply = world.settle(result(user="8", currency="USD", payout="9999999999999.99", stake="0"))
    assert reply == failed(400, "invalid_request")
    assert world.balance("8") == "100.00"
    assert [raised["kind"] for raised in world.exceptions()] == ["payout_out_of_range"]


def test_the_largest_amounts_are_exact(world: World) -> None:
    assert world.place(bet(amount="0")) == OK
    assert world.settle(result(payout="9999999999999.99")) == OK
    assert world.balance() == "10000000000099.99"
    assert world.place(bet(10, "10000000000000.00")).status == 400
    assert world.place(bet(11, "9999999999999.99")) == OK
    assert world.balance() == "100.00"


def test_a_stake_is_never_free(world: World) -> None:
    """0.03 SEK are less than half a yen."""
    world.customer("8", currency="JPY", balance="0")
    rate(world, "SEK", "JPY", "14")
    assert world.place(bet(user=8, currency="SEK", amount="0.03")) == error(402, "insufficient_funds")
    world.customer("9", currency="JPY", balance="1")
    assert world.place(bet(10, user=9, currency="SEK", amount="0.03")) == OK
    assert world.balance("9") == "0"


@pytest.mark.parametrize("element", [b"{}", b"0", b"null", b'{"user":{}}', b"[]"])
def test_many_bad_bets_are_answered_briefly(world: World, element: bytes) -> None:
    body = b'{"bets":[' + b",".join([element] * (65_000 // (len(element) + 1))) + b"]}"
    response = world.client.post("/bets", data=body, content_type="application/json")
    assert response.status_code == 400
    assert len(response.data) < 1000


@pytest.mark.parametrize("value", [None, "-", 5, {}, []], ids=repr)
def test_rubbish_in_what_is_not_read_keeps_nobody_from_being_paid(world: World, value: Any) -> None:
    world.place(bet())
    pool = result()
    pool["pool"] |= {"overdraw": value, "cost": value, "currency": value, "uid": value, "client": value}
    pool["bets"][0]["user"]["name"] = value
    pool["bets"][0]["bet"] |= {"amount": value, "odds": value, "rake": value, "extra": value}
    assert world.settle(pool) == OK
    assert world.balance() == "115.00"


def test_null_where_a_field_may_be_missing_is_missing(world: World) -> None:
    item = bet()
    item["user"]["ip"] = item["pool"]["overdraw"] = None
    assert world.place(item) == OK
    pool = result()
    pool["bets"][0]["bet"]["result"] = None
    assert world.settle(pool) == OK


@pytest.mark.parametrize("address", ["fe80::1%" + "a" * 60, "x" * 5000, "\x00", "é", "1.2.3.4.5", ",,,", "'"])
def test_odd_forwarded_addresses_are_nobody_s(world: World, address: str) -> None:
    world.configure(proxy_hops=1)
    response = world.client.post("/bets", json={"bets": [bet()]}, environ_overrides={"HTTP_X_FORWARDED_FOR": address})
    assert response.status_code == 401
    assert world.count("delivery") == 1


def test_one_locked_customer_does_not_starve_the_others(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks its whole file")
    world.customer("8", balance="1000.00")
    assert world.place(bet(999, user=8)) == OK
    with writing(world.engine) as session:
        customer_by_uid(session, client="acme", uid="7", lock=True)
        actions: list[Callable[[], Any]] = [
            partial(world.place, bet(n, user=7 if n % 4 == 0 else 8)) for n in range(16)
        ]
        replies = at_once(actions)
    for number, reply in enumerate(replies):
        assert reply == (error(503, "try_again") if number % 4 == 0 else OK), number


def test_a_log_that_cannot_be_written_keeps_no_answer_back(world: World, tmp_path: Path) -> None:
    world.close_app()
    (tmp_path / "server.log").symlink_to("/dev/full")
    with served(world.settings.database_url, tmp_path) as (url, _):
        assert post(url, "/bets", {"bets": [bet()]}) == OK
    assert world.balance() == "90.00"


def test_a_bet_its_cancel_and_its_settlement_in_one_group(world: World) -> None:
    """They share a transaction when they gather behind another; here each pair is sent at once, many times."""
    for number in range(20):
        at_once([partial(world.place, bet(number, "1.00")), partial(world.settle, result(number, "1.00"))])
        at_once([partial(world.place, bet(100 + number, "1.00")), partial(world.cancel, refund(100 + number))])
    assert world.differences() == []
    for number in range(20):
        world.settle(result(number, "1.00"))
    assert world.balance() == "100.00"


def test_a_hidden_value_is_stored_with_its_delivery_alone(world: World) -> None:
    item = bet()
    item["bet"]["comment"] = "kept in the delivery"
    assert world.place(item) == OK
    with reading(world.engine) as session:
        (body,) = session.scalars(text("SELECT body FROM delivery")).all()
    assert b"kept in the delivery" in bytes(body)
