"""Closing days: sealed days do not change, and closed days accept no postings."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any
from unittest.mock import patch

import pytest
from freezegun import freeze_time
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.finance.tampering import tampered
from tests.test_commands import Shell
from tests.world import OK, World, bet, result
from wallet_hooks.database import reading
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance import closing
from wallet_hooks.finance.closing import close, reopen
from wallet_hooks.finance.verification import check_seals
from wallet_hooks.ledger.models import Period, Seal
from wallet_hooks.ledger.sealing import seals_in_force
from wallet_hooks.ledger.verify import since

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIRST, SECOND = date(2026, 11, 19), date(2026, 11, 20)


@pytest.fixture
def history(empty_world: World) -> World:
    """Bets on two days, the second of them settled on the third."""
    with freeze_time("2026-11-19T10:00:00Z") as moment:
        empty_world.brand()
        empty_world.provider()
        empty_world.customer()
        empty_world.place(bet(1))
        empty_world.settle(result(1))
        moment.move_to("2026-11-20T23:59:59Z")
        empty_world.place(bet(2))
        moment.move_to("2026-11-21T00:00:01Z")
        empty_world.settle(result(2, "0", outcome="lost"))
    return empty_world


def booked(world: World, reference: str) -> str:
    with reading(world.engine) as session:
        query = text("SELECT booked_on FROM ledger_transaction WHERE reference LIKE :reference")
        return str(session.scalar(query, {"reference": f"%{reference}"}))


def test_seals_form_a_chain(history: World) -> None:
    sealed = close(history.engine, SECOND, now=NOON)
    assert [(one.day, one.transactions, one.entries) for one in sealed] == [(FIRST, 3, 8), (SECOND, 1, 2)]
    assert sealed[0].previous == ""
    assert sealed[1].previous == sealed[0].hash
    assert sealed[1].totals == {"EUR": 1000}
    assert sealed[1].balances == {
        "expenses:winnings:acme:betflex": {"EUR": 2500},
        "income:stakes:acme:betflex": {"EUR": -1000},
        "players:UK": {"EUR": -10500},
        "players:open_stakes": {"EUR": -1000},
        "psp:opening": {"EUR": 10000},
    }
    assert history.differences() == []


def test_a_seal_can_be_computed_from_the_documentation(history: World) -> None:
    """Computed as docs/decisions/0004-sealing.md describes it, without the code under test."""
    import hashlib  # noqa: PLC0415

    sealed = close(history.engine, SECOND, now=NOON)
    with reading(history.engine) as session:
        rows = session.execute(
            text(
                "SELECT t.id, t.kind, t.reference, t.fingerprint, t.occurred_at, t.recorded_at, t.booked_on,"
                " t.description, t.reverses_id, e.line, a.name, e.currency, e.amount, e.balance_after, e.version"
                " FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id"
                " JOIN ledger_account a ON a.id = e.account_id ORDER BY t.id, e.line"
            )
        ).all()
    previous = ""
    for one in sealed:
        digest = hashlib.sha256(f"{previous}{one.day}\n".encode())
        for id_ in sorted({row[0] for row in rows if str(row[6]) == str(one.day)}):
            own = [row for row in rows if row[0] == id_]
            facts = list(own[0][:9])
            facts[4:7] = [instant(facts[4]), instant(facts[5]), str(facts[6])]
            line = json.dumps([*facts, [list(row[9:]) for row in own]], ensure_ascii=False, separators=(",", ":"))
            digest.update(f"{line}\n".encode())
        previous = digest.hexdigest()
        assert previous == one.hash


def instant(value: Any) -> str:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"


def test_events_for_a_closed_day_are_booked_on_the_first_open_day(history: World) -> None:
    close(history.engine, SECOND, now=NOON)
    with freeze_time("2026-11-20T12:00:00Z"):
        assert history.place(bet(3)) == OK
    assert booked(history, "wager:3:stake") == "2026-11-21"
    assert history.differences() == []


@pytest.mark.all_together
def test_a_day_is_closed_only_when_over_for_every_brand(history: World) -> None:
    history.brand("west", id_=2, timezone="America/Santiago", day_start="06:00")
    with pytest.raises(RefusedError) as refusal:
        close(history.engine, SECOND, now=datetime(2026, 11, 21, 8, 59, tzinfo=UTC))
    assert (refusal.value.code, "west" in str(refusal.value)) == ("day_not_over", True)
    assert history.count("ledger_period") == 0
    assert close(history.engine, SECOND, now=datetime(2026, 11, 21, 9, tzinfo=UTC))


def test_a_closed_day_cannot_be_closed_again(history: World) -> None:
    close(history.engine, SECOND, now=NOON)
    for day in (FIRST, SECOND):
        with pytest.raises(RefusedError) as refusal:
            close(history.engine, day, now=NOON)
        assert refusal.value.code == "already_closed"


def test_of_two_concurrent_closes_one_succeeds(history: World) -> None:
    gate = threading.Barrier(2)
    real = closing._block_postings

    def wait_for_the_other_close(*arguments: Any) -> None:
        if not gate.broken:
            gate.wait(5)
        real(*arguments)

    def attempt(_: int) -> str:
        try:
            close(history.engine, SECOND, now=NOON)
        except RefusedError as refusal:
            return refusal.code
        return "closed"

    # On SQLite the second writer cannot begin while the first waits at the barrier, so there they start without it.
    if history.engine.dialect.name == "postgresql":
        with patch.object(closing, "_block_postings", wait_for_the_other_close), ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(attempt, range(2)))
    else:
        with ThreadPoolExecutor(2) as pool:
            outcomes = sorted(pool.map(attempt, range(2)))
    assert outcomes == ["already_closed", "closed"]
    assert history.count("ledger_seal") == 2
    assert history.differences() == []


def test_a_posting_during_the_close_is_sealed_too(history: World) -> None:
    """Transactions are counted again once postings are blocked."""
    real = closing._block_postings

    def post_first(session: Any, engine: Any) -> None:
        if engine.dialect.name == "postgresql":
            with freeze_time("2026-11-20T12:00:00Z"):
                assert history.place(bet(3)) == OK
        real(session, engine)

    with patch.object(closing, "_block_postings", post_first):
        sealed = close(history.engine, SECOND, now=NOON)
    assert sealed[-1].transactions == (2 if history.engine.dialect.name == "postgresql" else 1)
    assert history.differences() == []


def test_a_crash_during_the_close_leaves_no_day_closed(history: World) -> None:
    with patch.object(closing, "_seal_row", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        close(history.engine, SECOND, now=NOON)
    assert (history.count("ledger_period"), history.count("ledger_seal")) == (0, 0)
    assert len(close(history.engine, SECOND, now=NOON)) == 2


def test_bets_are_accepted_during_a_close(history: World) -> None:
    statuses: list[int] = []

    def keep_betting() -> None:
        statuses.extend(history.place(bet(f"x{number}", "0.10")).status for number in range(20))

    bettor = threading.Thread(target=keep_betting)
    bettor.start()
    close(history.engine, SECOND, now=NOON)
    bettor.join()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 10
    assert history.differences() == []


def test_reopening_keeps_the_seals_and_opens_later_days(history: World) -> None:
    first = close(history.engine, SECOND, now=NOON)
    for reason, day, code in (("", SECOND, "reason_required"), ("x", date(2026, 11, 18), "not_closed")):
        with pytest.raises(RefusedError) as refusal:
            reopen(history.engine, day, reason=reason, by="ann", now=NOON)
        assert refusal.value.code == code
    assert reopen(history.engine, FIRST, reason="a deposit was missing", by="ann", now=NOON) == 2
    with reading(history.engine) as session:
        assert seals_in_force(session) == []
        assert [(seal.reopened_by, seal.reopen_reason) for seal in session.query(Seal)] == [
            ("ann", "a deposit was missing")
        ] * 2
        assert session.query(Period).count() == 0
    again = close(history.engine, SECOND, now=NOON)
    assert [one.hash for one in again] == [one.hash for one in first]
    assert history.differences() == []


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE ledger_transaction SET description = 'x' WHERE id = 1", "2026-11-19"),
        ("UPDATE ledger_entry SET amount = amount * 2, balance_after = balance_after * 2", "2026-11-19"),
        ("UPDATE ledger_account SET name = 'psp:elsewhere' WHERE name = 'psp:opening'", "2026-11-19"),
        ("UPDATE ledger_seal SET hash = previous WHERE day = '2026-11-20'", "2026-11-20"),
        ("UPDATE ledger_seal SET transactions = 9 WHERE day = '2026-11-20'", "2026-11-20"),
        ("DELETE FROM ledger_seal WHERE day = '2026-11-20'", "2026-11-20"),
        ("DELETE FROM ledger_period WHERE day = '2026-11-20'", "2026-11-20"),
    ],
)
def test_a_change_that_bypassed_the_triggers_is_found(history: World, statement: str, where: str) -> None:
    close(history.engine, SECOND, now=NOON)
    with reading(history.engine) as session:
        assert check_seals(session, None) == []
    tampered(history, statement)
    with reading(history.engine) as session:
        assert check_seals(session, None)[0].where == f"day {where}"


def test_a_transaction_before_the_first_seal_is_found(history: World) -> None:
    """The reports of earlier days would show it, and those of later ones begin with a seal."""
    close(history.engine, SECOND, now=NOON)
    tampered(
        history,
        "INSERT INTO ledger_transaction (id, kind, reference, fingerprint, occurred_at, recorded_at, booked_on)"
        " VALUES (999, 'test', 'test', 'x', '2026-11-01', '2026-11-01', '2026-11-01')",
    )
    with reading(history.engine) as session:
        (found,) = check_seals(session, None)
    assert (found.where, "2026-11-01" in found.what) == ("transaction 999", True)


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM ledger_seal", "UPDATE ledger_seal SET sealed_at = '2026-01-01'", "UPDATE ledger_seal SET hash = ''"],
)
def test_seals_are_kept_also_those_of_days_that_were_opened_again(history: World, statement: str) -> None:
    close(history.engine, SECOND, now=NOON)
    reopen(history.engine, FIRST, reason="a deposit was missing", by="ann", now=NOON)
    with pytest.raises(DBAPIError, match=r"ledger_seal\S* is refused"), history.engine.begin() as connection:
        connection.execute(text(statement))
    assert history.count("ledger_seal") == 2


def test_deleted_transactions_are_found(history: World) -> None:
    close(history.engine, SECOND, now=NOON)
    tail = "(SELECT id FROM ledger_transaction WHERE booked_on = '2026-11-20')"
    tampered(
        history,
        f"DELETE FROM ledger_entry WHERE transaction_id IN {tail}",
        "DELETE FROM ledger_transaction WHERE booked_on = '2026-11-20'",
    )
    with reading(history.engine) as session:
        (found,) = check_seals(session, None)
    assert "transactions 0, sealed 1" in found.what


def test_a_day_before_the_first_seal_is_said_to_be_locked_with_it(history: World) -> None:
    close(history.engine, SECOND, now=NOON)
    before = date(2026, 11, 18)
    message = "2026-11-18 has no seal: it is locked with the first closed day, 2026-11-19"
    with pytest.raises(RefusedError, match=message):
        reopen(history.engine, before, reason="x", by="ann", now=NOON)
    with pytest.raises(RefusedError, match=message), reading(history.engine) as session:
        since(session, before)


def test_a_ledger_with_differences_is_not_closed(history: World) -> None:
    tampered(history, "UPDATE ledger_account SET balance = balance + 1 WHERE holder_id IS NOT NULL")
    with pytest.raises(RefusedError) as refusal:
        close(history.engine, SECOND, now=NOON)
    assert (refusal.value.code, "balance" in str(refusal.value)) == ("ledger_broken", True)
    assert history.count("ledger_seal") == 0


def test_without_a_brand_no_day_can_be_closed(empty_world: World) -> None:
    with pytest.raises(RefusedError) as refusal:
        close(empty_world.engine, date(2026, 11, 1), now=NOON)
    assert refusal.value.code == "day_not_over"


@pytest.mark.all_together
def test_the_commands_close_and_reopen(history: World) -> None:
    shell = Shell(history.settings.database_url)
    printed = shell.ok("close", "2026-11-20")
    assert printed.splitlines()[1].startswith("2026-11-20 closed: 1 transactions, 2 entries, seal ")
    assert "rules hold" in shell.ok("verify")
    assert shell.run("close", "2026-11-20").returncode == 1
    assert shell.run("close", "2999-01-01").returncode == 1
    assert shell.run("close", "yesterday").returncode == 2
    assert shell.run("reopen", "2026-11-20").returncode == 2
    assert "opened again: 1 day" in shell.ok("reopen", "2026-11-20", "--reason", "corrected file")
