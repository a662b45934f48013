"""Enforcement of deposit limits, also for deposits that are reserved and confirmed in two steps."""

from collections.abc import Callable

import pytest
from freezegun import freeze_time

from tests.limits.back_office import deposit
from tests.limits.player import GatewayPlayer
from tests.world import World
from wallet_hooks import clock
from wallet_hooks.cashier import service as cashier
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.models import Payment
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.errors import RefusedError

RESERVED_AT, EXPIRES_AT = "2026-05-01T12:00:00Z", "2026-05-02T12:00:00Z"


def test_deposits_count_gross_of_withdrawals(world: World) -> None:
    GatewayPlayer(world).set(deposit=("week", "50"))
    deposit(world, 3000, "D1")
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        cashier.move(session, customer, Movement(kind="withdrawal", amount=3000, reference="W"), now=clock.now())
    with pytest.raises(RefusedError) as refusal:
        deposit(world, 2001, "D2")
    assert refusal.value.code == "deposit_limit_exceeded"
    deposit(world, 3000, "D1")  # a repetition is idempotent
    deposit(world, 2000, "D3")
    assert world.balance() == "120.00"
    assert world.differences() == []


def test_deposit_counts_from_reservation_and_is_released_on_failure(world: World) -> None:
    with freeze_time("2026-05-01T22:00:00Z") as moment:
        GatewayPlayer(world).set(deposit=("day", "50"))
        reserved = deposit(world, 5000, "D1", in_two_steps=True)
        with pytest.raises(RefusedError):
            deposit(world, 1, "D2")
        moment.move_to("2026-05-02T12:00:00Z")
        later = deposit(world, 5000, "D3", in_two_steps=True)
        for payment, step in ((reserved, cashier.fail), (later, cashier.confirm)):
            with writing(world.engine) as session:
                customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
                step(session, customer, payment.id, now=clock.now())
        with pytest.raises(RefusedError):
            deposit(world, 1, "D4")
        assert world.differences() == []


def finish(world: World, payment: Payment, step: Callable[..., Payment]) -> str:
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        return step(session, customer, payment.id, now=clock.now()).status


def test_a_reserve_counts_for_24_hours_and_a_later_confirm_is_credited_and_raised(world: World) -> None:
    with freeze_time(RESERVED_AT) as moment:
        player = GatewayPlayer(world)
        player.set(deposit=("week", "50"))
        reserved = deposit(world, 3000, "D1", in_two_steps=True)
        moment.move_to(EXPIRES_AT)
        moment.tick(-1)
        with pytest.raises(RefusedError):
            deposit(world, 2001, "D2")
        moment.tick(1)
        assert player.get()["active"]["deposit"]["amount_left"] == "50"
        deposit(world, 5000, "D3")
        assert player.get()["active"]["deposit"]["amount_left"] == "0"
        assert (world.balance(), world.differences()) == ("150.00", [])
        assert finish(world, reserved, cashier.confirm) == "done"
        assert [one["kind"] for one in world.exceptions()] == ["deposit_reserve_expired"]
        with pytest.raises(RefusedError):
            deposit(world, 1, "D4")
        assert (world.balance(), world.differences()) == ("180.00", [])


def test_an_expired_reserve_can_fail(world: World) -> None:
    with freeze_time(RESERVED_AT) as moment:
        GatewayPlayer(world).set(deposit=("week", "50"))
        reserved = deposit(world, 3000, "D1", in_two_steps=True)
        moment.move_to(EXPIRES_AT)
        assert finish(world, reserved, cashier.fail) == "failed"
        deposit(world, 5000, "D2")
        assert (world.balance(), world.differences()) == ("150.00", [])


def test_confirm_that_was_done_in_time_is_repeated_after_the_expiry(world: World) -> None:
    with freeze_time(RESERVED_AT) as moment:
        GatewayPlayer(world).set(deposit=("week", "50"))
        reserved = deposit(world, 5000, "D1", in_two_steps=True)
        for instant in (RESERVED_AT, EXPIRES_AT):
            moment.move_to(instant)
            assert finish(world, reserved, cashier.confirm) == "done"
        with pytest.raises(RefusedError):
            deposit(world, 1, "D2")
        assert (world.balance(), world.differences()) == ("150.00", [])
