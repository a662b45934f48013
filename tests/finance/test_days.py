"""Reports use accounting days, also when a clock change skips or repeats the hour in which a day begins."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from freezegun import freeze_time

from tests.finance.history import exported, request_for, rows
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.closing import close


@pytest.mark.parametrize(
    ("zone", "day_start", "instant", "day"),
    [
        # London's clocks skip 01:00 to 02:00 on 29 March 2026: the day begins with the change, at 01:00 UTC.
        ("Europe/London", "01:30", "2026-03-29T00:59:59Z", "2026-03-28"),
        ("Europe/London", "01:30", "2026-03-29T01:10:00Z", "2026-03-29"),
        # They show 01:00 to 02:00 twice on 25 October 2026: the day begins with the first 01:30.
        ("Europe/London", "01:30", "2026-10-25T00:29:59Z", "2026-10-24"),
        ("Europe/London", "01:30", "2026-10-25T01:10:00Z", "2026-10-25"),
        # Newfoundland's clocks went back from 00:01 to 23:01 of the day before: midnight came twice.
        ("America/St_Johns", "00:00", "2010-11-07T02:45:00Z", "2010-11-07"),
        # Samoa had no 30 December 2011.
        ("Pacific/Apia", "00:00", "2011-12-30T09:59:59Z", "2011-12-29"),
        ("Pacific/Apia", "00:00", "2011-12-30T10:00:00Z", "2011-12-31"),
    ],
)
def test_reports_show_a_bet_on_its_accounting_day(
    empty_world: World, tmp_path: Path, zone: str, day_start: str, instant: str, day: str
) -> None:
    world = empty_world
    with freeze_time(datetime.fromisoformat(instant) - timedelta(days=7)):
        world.brand(timezone=zone, day_start=day_start)
        world.provider()
        world.customer()
    with freeze_time(instant):
        assert world.place(bet(1)) == OK
    booked = date.fromisoformat(day)
    (stake,) = {row["booked_on"] for row in rows(exported(world, "journal", "csv", booked, booked))}
    assert stake == day
    found = {
        one: len(rows(exported(world, "open-bets", "csv", one, one)))
        for one in (booked + timedelta(days=days) for days in (-2, -1, 0, 1, 2))
    }
    assert found == {one: int(one >= booked) for one in found}
    (tmp_path / "report.csv").write_text("brand,bet,currency,stake\nacme,1,EUR,10.00\n")
    ran = Shell(world.settings.database_url).run(
        "reconcile", "--provider", "betflex", str(tmp_path / "report.csv"), "--from", day, "--to", day
    )
    assert (ran.returncode, ran.stderr.strip()) == (0, "1 lines: no breaks")
    assert world.differences() == []


@pytest.mark.parametrize("day", [date.min, date(1969, 12, 31), date(2200, 1, 1), date.max])
def test_days_outside_the_accepted_years_cannot_be_closed(history: World, day: date) -> None:
    with pytest.raises(RefusedError) as refusal:
        close(history.engine, day, now=request_for().now)
    assert refusal.value.code == "bad_period"
    assert Shell(history.settings.database_url).run("close", day.isoformat()).returncode == 1
