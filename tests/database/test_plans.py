"""Callbacks and APIs look rows up by their keys; reports and pages of the console may scan tables."""

import pytest
from sqlalchemy import text

from tests.world import World
from wallet_hooks.database import reading


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("callbacks", "off"),
        ("messages", "off"),
        ("customers", "off"),
        ("accounts", "off"),
        ("staff", "on"),
        ("reports", "on"),
    ],
)
def test_statements_of_callbacks_and_apis_are_planned_as_look_ups(empty_world: World, name: str, expected: str) -> None:
    engine = getattr(empty_world.app.extensions["wallet_hooks"], name)
    with reading(engine) as session:
        session.execute(text("SELECT 1"))
        found = {option: session.scalar(text(f"SHOW {option}")) for option in ("enable_seqscan", "enable_hashjoin")}
    assert found == {"enable_seqscan": expected, "enable_hashjoin": expected}
