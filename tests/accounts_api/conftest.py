"""Clients of the account API on both engines, over both transports."""

import pytest

from tests.accounts_api.client import JSON_RPC, REST, AccountClient
from tests.desk import Desk


@pytest.fixture
def client(desk: Desk) -> AccountClient:
    return AccountClient(desk)


@pytest.fixture(params=[JSON_RPC, REST])
def each(request: pytest.FixtureRequest, desk: Desk) -> AccountClient:
    """A client for each transport."""
    return AccountClient(desk, request.param)


@pytest.fixture(scope="module")
def shared_client(shared_desk: Desk) -> AccountClient:
    """A client for the tests of a file that change nothing."""
    return AccountClient(shared_desk)


@pytest.fixture(scope="module", params=[JSON_RPC, REST])
def each_shared(request: pytest.FixtureRequest, shared_desk: Desk) -> AccountClient:
    """A client for each transport, for the tests of a file that change nothing."""
    return AccountClient(shared_desk, request.param)
