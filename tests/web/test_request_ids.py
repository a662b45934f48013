"""Request ids are unique, whatever else the process does."""

import random
import subprocess
import sys
from datetime import UTC, datetime

from wallet_hooks.web.requests import new_request_id

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_ids_of_one_instant_differ_even_if_something_seeds_the_random_module() -> None:
    ids = set()
    for _ in range(1000):
        random.seed(1)
        ids.add(new_request_id(NOW))
    assert len(ids) == 1000
    assert all(len(one) == 32 and one[12] == "7" and one[16] in "89ab" for one in ids)


_FORK = """
import os
from datetime import UTC, datetime
from wallet_hooks.web.requests import new_request_id
os.fork()
os.write(1, (new_request_id(datetime(2026, 11, 27, tzinfo=UTC)) + os.linesep).encode())
"""


def test_a_forked_process_has_ids_of_its_own() -> None:
    output = subprocess.run([sys.executable, "-c", _FORK], check=True, capture_output=True, text=True).stdout
    assert len(set(output.split())) == 2
