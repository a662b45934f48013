"""The provider's own payloads, as its documentation prints them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.world import Reply, World

FIXTURES = Path(__file__).parent.parent / "fixtures" / "callbacks"
NAMES = sorted(path.stem for path in FIXTURES.glob("*.json"))


def read(name: str) -> dict[str, Any]:
    fixture: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    assert fixture["name"] == name
    return fixture


def send(world: World, fixture: dict[str, Any]) -> None:
    for name in fixture.get("after", ()):
        send(world, read(name))
    request, expect = fixture["request"], fixture["expect"]
    assert world.post(request["path"], request["body"]) == Reply(expect["status"], expect["body"])


@pytest.mark.parametrize("name", NAMES)
def test_fixture_is_answered_as_it_expects_twice(empty_world: World, name: str) -> None:
    fixture = read(name)
    empty_world.brand()
    empty_world.provider()
    for customer in fixture["given"]["customers"]:
        empty_world.customer(str(customer["uid"]), balance=customer["balance"], currency=customer["currency"])
    for _ in range(2):
        send(empty_world, fixture)
        for account, balance in fixture["expect"]["balances"].items():
            assert empty_world.balance(account.partition(":")[0]) == balance
