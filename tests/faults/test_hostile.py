"""Requests of hostile or defective senders."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from tests.service import post, served
from tests.sportsbook.test_concurrency import at_once
from tests.world import OK, JsonReply, World, bet, error, failed, refund, result
from wallet_hooks import clock
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.ledger.rates import set_rate


def rate(world: World, source: str, target: str, value: str) -> None:
    with writing(world.engine) as session:
        set_rate(session, source=source, target=target, rate=value, now=clock.now())


def test_a_payout_out_of_range_is_refused_and_raises_an_exception(world: World) -> None:
    world.customer("8", currency="IDR")
    rate(world, "USD", "IDR", "16000")
    assert world.place(bet(user=8, currency="USD", amount="0")) == OK
    reply = world.settle(result(user="8", currency="USD", payout="9999999999999.99", stake="0"))
    assert reply == failed(400, "invalid_request")
    assert world.balance("8") == "100.00"
    assert [raised["kind"] for raised in world.exceptions()] == ["payout_out_of_range"]


def test_a_payout_that_was_paid_near_the_range_is_repeated_and_corrected(world: World) -> None:
    world.customer("8", currency="IDR")
    rate(world, "USD", "IDR", "4000")
    assert world.place(bet(user=8, currency="USD", amount="0")) == OK
    paid = {"user": "8", "currency": "USD", "stake": "0"}
    for payout, balance in (
        ("9999999999999.99", "39999999999999960.00"),
        ("9999999999999.99", "39999999999999960.00"),
        ("6000000000000.00", "24000000000000000.00"),
    ):
        assert world.settle(result(payout=payout, **paid)) == OK
        assert world.balance("8") == str(Decimal(balance) + 100)
    assert world.exceptions() == []


def test_the_largest_amounts_are_exact(world: World) -> None:
    assert world.place(bet(amount="0")) == OK
    assert world.settle(result(payout="9999999999999.99")) == OK
    assert world.balance() == "10000000000099.99"
    assert world.place(bet(10, "10000000000000.00")).status == 400
    assert world.place(bet(11, "9999999999999.99")) == OK
    assert world.balance() == "100.00"


def test_a_small_stake_is_rounded_up_to_one_minor_unit(world: World) -> None:
    """0.03 SEK are 0.42 JPY; the cost is 1 JPY."""
    world.customer("8", currency="JPY", balance="0")
    rate(world, "SEK", "JPY", "14")
    assert world.place(bet(user=8, currency="SEK", amount="0.03")) == error(402, "insufficient_funds")
    world.customer("9", currency="JPY", balance="1")
    assert world.place(bet(10, user=9, currency="SEK", amount="0.03")) == OK
    assert world.balance("9") == "0"


@pytest.mark.parametrize("element", [b"{}", b"0", b"null", b'{"user":{}}', b"[]"])
def test_the_answer_to_many_invalid_bets_is_short(world: World, element: bytes) -> None:
    body = b'{"bets":[' + b",".join([element] * (65_000 // (len(element) + 1))) + b"]}"
    response = world.client.post("/bets", data=body, content_type="application/json")
    assert response.status_code == 400
    assert len(response.data) < 1000


@pytest.mark.parametrize("value", [None, "-", 5, {}, []], ids=repr)
def test_invalid_values_in_unused_fields_do_not_prevent_a_settlement(world: World, value: Any) -> None:
    world.place(bet())
    pool = result()
    pool["pool"] |= {"overdraw": value, "cost": value, "currency": value, "uid": value, "client": value}
    pool["bets"][0]["user"]["name"] = value
    pool["bets"][0]["bet"] |= {"amount": value, "odds": value, "rake": value, "extra": value}
    assert world.settle(pool) == OK
    assert world.balance() == "115.00"


def test_null_in_an_optional_field_counts_as_missing(world: World) -> None:
    item = bet()
    item["user"]["ip"] = item["pool"]["overdraw"] = None
    assert world.place(item) == OK
    pool = result()
    pool["bets"][0]["bet"]["result"] = None
    assert world.settle(pool) == OK


@pytest.mark.parametrize("address", ["fe80::1%" + "a" * 60, "x" * 5000, "\x00", "é", "1.2.3.4.5", ",,,", "'"])
def test_invalid_forwarded_addresses_are_not_trusted(world: World, address: str) -> None:
    world.configure(proxy_hops=1)
    response = world.client.post("/bets", json={"bets": [bet()]}, environ_overrides={"HTTP_X_FORWARDED_FOR": address})
    assert response.status_code == 401
    assert world.count("delivery") == 1


def test_a_locked_customer_row_does_not_block_other_customers(world: World) -> None:
    if world.engine.dialect.name == "sqlite":
        pytest.skip("SQLite locks its whole file")
    world.configure(lock_timeout=0.3)
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


@pytest.mark.served
def test_callbacks_are_answered_if_the_log_cannot_be_written(world: World, tmp_path: Path) -> None:
    world.close_app()
    (tmp_path / "server.log").symlink_to("/dev/full")
    with served(world.settings.database_url, tmp_path) as (url, _):
        assert post(url, "/bets", {"bets": [bet()]}) == OK
    assert world.balance() == "90.00"


def test_a_bet_its_cancel_and_its_settlement_in_one_group(world: World) -> None:
    """Requests that wait during a commit share the next one; here pairs are sent at once, many times.

    On a loaded machine a request may get 503; the provider repeats that one, so the test does too.
    """

    def send(*actions: Callable[[], JsonReply]) -> None:
        refused = [action for action, reply in zip(actions, at_once(actions), strict=True) if reply.status == 503]
        if refused:
            send(*refused)

    for number in range(20):
        send(partial(world.place, bet(number, "1.00")), partial(world.settle, result(number, "1.00")))
        send(partial(world.place, bet(100 + number, "1.00")), partial(world.cancel, refund(100 + number)))
    assert world.differences() == []
    for number in range(20):
        send(partial(world.settle, result(number, "1.00")))
    assert world.balance() == "100.00"


def test_an_unknown_field_is_stored_only_with_its_delivery(world: World) -> None:
    item = bet()
    item["bet"]["comment"] = "kept in the delivery"
    assert world.place(item) == OK
    with reading(world.engine) as session:
        (body,) = session.scalars(text("SELECT body FROM delivery")).all()
    assert b"kept in the delivery" in bytes(body)
