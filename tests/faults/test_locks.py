"""A row lock that is held outside the service delays those who need the row, and nobody else."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.desk import Desk
from tests.service import post, served
from tests.worker_classes import OWN
from tests.world import OK, bet
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing

pytestmark = pytest.mark.served

DEPOSITS = 80


@pytest.fixture
def engine_name() -> str:
    return "postgresql"  # SQLite locks its whole file


@pytest.mark.parametrize("worker_class", [OWN, "gthread"])
def test_deposits_that_wait_for_a_locked_customer_leave_threads_to_bets(
    desk: Desk, tmp_path: Path, worker_class: str
) -> None:
    token = desk.token("boss")
    desk.world.close_app()

    def deposit(number: int) -> int:
        headers = {"Session": token, "Idempotency-Key": f"k{number}"}
        body = {"method": "card", "amount": ["EUR", 1], "reference": f"P{number}"}
        return post(url, "/v1/customers/ann/deposits/", body, headers, attempts=1).status

    with (
        served(desk.world.settings.database_url, tmp_path, worker_class=worker_class) as (url, _),
        ThreadPoolExecutor(DEPOSITS) as callers,
    ):
        with writing(desk.world.engine) as session:
            customer_by_uid(session, client="acme", uid="7", lock=True)
            statuses = [callers.submit(deposit, number) for number in range(DEPOSITS)]
            for number in range(30):
                assert post(url, "/bets", {"bets": [bet(number, "0.10", user=8)]}, attempts=1) == OK
            assert {status.result() for status in statuses if status.done()} == {429}, "the bets came first"
        assert {status.result() for status in statuses} <= {200, 429, 503}
