"""Fixtures of the callbacks' tests."""

from collections.abc import Iterator

import pytest

from tests.world import World


@pytest.fixture
def ledger_invariants(world: World) -> Iterator[None]:
    """Check the ledger's invariants after the test."""
    yield
    assert world.differences() == []
