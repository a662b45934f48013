"""Actions of the operator and the cashier on customer limits: operator limits, the brand's policy, deposits."""

from typing import Any

from tests.world import World
from wallet_hooks import clock
from wallet_hooks.cashier import service as cashier
from wallet_hooks.cashier.service import Movement
from wallet_hooks.customers.models import Payment
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.service import set_policy
from wallet_hooks.limits import operators
from wallet_hooks.limits.service import CurrentLimits, player_of


def set_operator_limit(world: World, type_: str, frame: str, amount: int, *, uid: str = "7") -> None:
    with writing(world.engine) as session:
        customer, brand = customer_by_uid(session, client="acme", uid=uid, lock=True)
        current = CurrentLimits(session, player_of(customer, brand_facts(brand)), now=clock.now())
        operators.set_by_operator(
            current, type_=type_, frame=frame, amount=amount, reason="test", changed_by="test", session=session
        )


def set_rules(world: World, **rules: Any) -> None:
    with writing(world.engine) as session:
        set_policy(session, client="acme", preset=None, rules=rules)
    world.close_app()


def deposit(world: World, amount: int, reference: str, *, in_two_steps: bool = False) -> Payment:
    with writing(world.engine) as session:
        customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
        movement = Movement(kind="deposit", amount=amount, reference=reference, in_two_steps=in_two_steps)
        payment, _ = cashier.move(session, customer, movement, now=clock.now())
        return payment
