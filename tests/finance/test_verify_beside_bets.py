"""`verify` beside bets: it notices them, and leaves processors to them."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.finance.tampering import tampered
from tests.world import World, bet
from wallet_hooks.database import reading
from wallet_hooks.finance.verification import run_checks
from wallet_hooks.ledger import service
from wallet_hooks.ledger.service import are_transactions_posted
from wallet_hooks.ledger.verify import Difference


@pytest.mark.parametrize("is_betting", [True, False])
def test_bets_that_are_taken_are_noticed_where_they_are_counted(
    world: World, monkeypatch: pytest.MonkeyPatch, is_betting: bool
) -> None:
    def watch(_seconds: float) -> None:
        if is_betting:
            assert world.place(bet(1)).status == 200

    sleeping: Any = type("Time", (), {"sleep": staticmethod(watch)})
    monkeypatch.setattr(service, "time", sleeping)
    is_counted = world.engine.dialect.name == "postgresql"  # SQLite does not count them in a snapshot
    with reading(world.engine) as session:
        assert are_transactions_posted(session) == (is_betting and is_counted)


def test_checks_beside_bets_use_one_process_and_find_the_same(world: World) -> None:
    world.place(bet(1))
    tampered(world, "UPDATE ledger_entry SET amount = amount + 1 WHERE line = 1")
    found: list[list[Difference]] = []
    for gently in (False, True):
        with reading(world.engine) as session:
            found.append([one for some in run_checks(session, None, gently=gently) for one in some])
            if world.engine.dialect.name == "postgresql":
                processes = session.scalar(text("SHOW max_parallel_workers_per_gather"))
                assert (processes == "0") == gently
    assert found[0]
    assert found[0] == found[1]
