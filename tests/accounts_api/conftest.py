"""Clients of the account API on both engines, over both transports."""

import pytest

from tests.accounts_api.client import JSON_RPC, REST, Client
from tests.desk import Desk


@pytest.fixture
def client(desk: Desk) -> Client:
    return Client(desk)


@pytest.fixture(params=[JSON_RPC, REST])
def each(request: pytest.FixtureRequest, desk: Desk) -> Client:
    """A client for each transport."""
    return Client(desk, request.param)
