"""Which processor each worker is pinned to."""

import os
import signal
from pathlib import Path

import pytest

from tests.service import served, workers_of
from tests.waiting import wait_until

PROCESSORS = sorted(os.sched_getaffinity(0))
EACH_ITS_OWN = [{one} for one in PROCESSORS]

pytestmark = [pytest.mark.served, pytest.mark.skipif(len(PROCESSORS) < 2, reason="needs two processors")]


def processors_of(master: int) -> list[set[int]]:
    """Return the processors that each worker may use."""
    return sorted(map(os.sched_getaffinity, workers_of(master)), key=min)


@pytest.mark.parametrize("place", [0, -1], ids=["oldest", "newest"])
def test_a_worker_that_replaces_a_killed_one_gets_its_processor(database_url: str, tmp_path: Path, place: int) -> None:
    with served(database_url, tmp_path, workers=len(PROCESSORS)) as (_, master):
        wait_until(lambda: processors_of(master) == EACH_ITS_OWN)
        killed = workers_of(master)[place]
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in workers_of(master) and processors_of(master) == EACH_ITS_OWN)


def test_a_single_worker_is_pinned_only_on_sqlite(database_url: str, tmp_path: Path) -> None:
    with served(database_url, tmp_path, workers=1) as (_, master):
        (used,) = processors_of(master)
    assert len(used) == (1 if database_url.startswith("sqlite") else len(PROCESSORS))


def test_workers_are_not_pinned_if_the_operator_says_so(database_url: str, tmp_path: Path) -> None:
    settings = {"WALLET_HOOKS_PIN_WORKERS": "false"}
    with served(database_url, tmp_path, workers=len(PROCESSORS), settings=settings) as (_, master):
        assert processors_of(master) == [set(PROCESSORS)] * len(PROCESSORS)
