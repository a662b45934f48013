"""Reconciliation finds each kind of break, and only real ones."""

from pathlib import Path

import openpyxl
import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.finance.provider_reports import HEAD, MATCHING_LINES, PERIOD, kinds, run
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks.finance import reconciliation


@pytest.mark.parametrize("word", ["lost", "Loss", "lose"])
def test_every_word_for_a_loss_is_a_settlement_of_0(day: World, tmp_path: Path, word: str) -> None:
    ran = run(day, tmp_path, MATCHING_LINES | {"2": f"acme,2,EUR,10.00,,{word}"})
    assert (ran.returncode, ran.stdout) == (0, "")


def test_a_bet_won_with_a_payout_of_0_has_no_break(day: World, tmp_path: Path) -> None:
    """The money agrees, whatever the provider calls it."""
    assert kinds(run(day, tmp_path, MATCHING_LINES | {"2": "acme,2,EUR,10.00,0.00,won"})) == []


def test_a_matching_report_has_no_breaks(day: World, tmp_path: Path) -> None:
    ran = run(day, tmp_path, MATCHING_LINES)
    assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "", "6 lines: no breaks")


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"1": "acme,1,EUR,10.01,25.00,won"}, ("amount", "1")),
        ({"1": "acme,1,EUR,10.00,25.01,won"}, ("amount", "1")),
        ({"1": "acme,1,EUR,ten,25.00,won"}, ("amount", "1")),
        ({"1": "acme,1,USD,10.00,25.00,won"}, ("currency", "1")),
        ({"1": "acme,1,EUR,10.00,,open"}, ("status", "1")),
        ({"4": "acme,4,EUR,10.00,,settled"}, ("status", "4")),
        ({"5": "acme,5,EUR,10.00,0,lost"}, ("status", "5")),
        ({"5": "acme,5,EUR,10.00,99.00,"}, ("amount", "5")),
        ({"4": "acme,4,EUR,10.00,500.00,"}, ("amount", "4")),
        ({"1": "acme,1,EUR,10.00,,lost"}, ("amount", "1")),
        ({"2": "acme,2,EUR,10.00,,won"}, ("status", "2")),
        ({"2": "acme,2,EUR,10.00,,Win"}, ("status", "2")),
        ({"new": "acme,99,EUR,1.00,,open"}, ("missing_here", "99")),
        ({"new": "other,1,EUR,1.00,,open"}, ("missing_here", "1")),
        ({"new": "acme,refused,EUR,1000.00,,open"}, ("status", "refused")),
        ({"new": "acme,2,EUR,10.00,0.00,lost"}, ("duplicate", "2")),
        ({"new": "acme,7,EUR,1.00,,open"}, ("late", "7")),
        ({"2": ""}, ("missing_there", "2")),
        ({"6": ""}, ("late", "6")),
        ({"new": "acme,x\x07y,EUR,1.00,,open"}, ("missing_here", "x\x07y")),
    ],
    ids=str,
)
@pytest.mark.all_together
def test_each_kind_of_break_is_found(
    day: World, tmp_path: Path, changed: dict[str, str], found: tuple[str, str]
) -> None:
    ran = run(day, tmp_path, MATCHING_LINES | changed)
    assert (ran.returncode, kinds(ran)) == (1, [found])


@pytest.fixture
def two_brands(day: World) -> World:
    """The bets of the day, and one of another brand."""
    day.brand("west", id_=2)
    day.provider("west")
    day.customer(client="west")
    with freeze_time("2026-11-20T12:00:00Z"):
        assert day.place(bet(1, client="west")) == OK
    return day


def test_only_the_brands_that_a_report_names_are_matched(two_brands: World, tmp_path: Path) -> None:
    ran = run(two_brands, tmp_path, MATCHING_LINES)
    assert (ran.returncode, kinds(ran)) == (0, [])
    ran = run(two_brands, tmp_path, ["west,1,EUR,10.00,,open"])
    assert (ran.returncode, kinds(ran)) == (0, [])
    ran = run(two_brands, tmp_path, ["west,1,EUR,10.00,,open", MATCHING_LINES["1"]])
    assert set(kinds(ran)) == {("missing_there", uid) for uid in "2345"} | {("late", "6")}


def test_with_the_option_brand_only_that_brand_is_matched(two_brands: World, tmp_path: Path) -> None:
    unnamed = {uid: line.removeprefix("acme") for uid, line in MATCHING_LINES.items()}
    for lines in (unnamed, MATCHING_LINES, MATCHING_LINES | {"west": "west,404,EUR,1.00,,open"}):
        ran = run(two_brands, tmp_path, lines, "--brand", "acme")
        assert (ran.returncode, ran.stdout, ran.stderr.strip()) == (0, "", "6 lines: no breaks")
    assert kinds(run(two_brands, tmp_path, [], "--brand", "west")) == [("missing_there", "1")]


def test_all_brands_are_matched_with_a_report_without_lines(two_brands: World, tmp_path: Path) -> None:
    assert sorted(kinds(run(two_brands, tmp_path, []))) == [
        ("late", "6"), *(("missing_there", uid) for uid in ("1", "1", "2", "3", "4", "5")),
    ]  # fmt: skip


@pytest.mark.parametrize("option", ["--brand", "--provider"])
def test_an_unknown_brand_or_provider_is_refused(day: World, tmp_path: Path, option: str) -> None:
    for lines in ([], [",1,EUR,10.00,,"]):
        ran = run(day, tmp_path, lines, "--brand", "acme", option, "nobody")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "'nobody'" in ran.stderr
    assert day.count("reconciliation") == 0


def test_the_run_is_stored_and_breaks_are_written(day: World, tmp_path: Path) -> None:
    for suffix in ("csv", "xlsx"):
        out = tmp_path / f"breaks.{suffix}"
        assert run(day, tmp_path, MATCHING_LINES | {"2": ""}, "-o", str(out)).returncode == 1
    assert (tmp_path / "breaks.csv").read_text().splitlines()[1].startswith('missing_there,acme,2,,,"10.00 EUR, placed')
    sheet = openpyxl.load_workbook(tmp_path / "breaks.xlsx").worksheets[0]
    assert [cell.value for cell in sheet[2]][:3] == ["missing_there", "acme", "2"]
    with day.engine.connect() as connection:
        rows = connection.execute(text("SELECT provider, file, lines FROM reconciliation")).all()
    assert [tuple(row) for row in rows] == [("betflex", "report.csv", 5)] * 2


def test_an_html_page_of_breaks_is_self_contained_and_escaped(day: World, tmp_path: Path) -> None:
    out = tmp_path / "breaks.html"
    markup = "<script>alert(1)</script>"
    assert run(day, tmp_path, MATCHING_LINES | {"new": f"acme,{markup},EUR,1.00,,open"}, "-o", str(out)).returncode == 1
    page = out.read_text()
    assert markup not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page
    assert run(day, tmp_path, MATCHING_LINES, "-o", str(tmp_path / "breaks.pdf")).returncode == 2


def test_control_characters_in_names_are_escaped_on_stdout(day: World, tmp_path: Path) -> None:
    file = tmp_path / "report.csv"
    injected = '"6\nmissing_here   acme FORGED\x1b[2J"'
    file.write_text("\n".join([HEAD, *MATCHING_LINES.values(), f"acme,{injected},EUR,1.00,,open", ""]))
    shell = Shell(day.settings.database_url)
    (line,) = shell.run("reconcile", "--provider", "betflex", str(file), *PERIOD).stdout.splitlines()
    assert line.startswith("missing_here   acme 6\\nmissing_here")
    assert line.isprintable()


@pytest.mark.all_together
def test_the_report_is_never_overwritten_and_breaks_are_written_atomically(day: World, tmp_path: Path) -> None:
    file, out = tmp_path / "report.csv", tmp_path / "breaks.csv"
    file.write_text("\n".join([HEAD, MATCHING_LINES["1"], ""]))
    out.write_text("unchanged")
    shell = Shell(day.settings.database_url)
    report = ["reconcile", "--provider", "betflex", str(file)]
    assert shell.run(*report, *PERIOD, "-o", str(file)).returncode == 2
    assert file.read_text().startswith(HEAD)
    (tmp_path / "columns.json").write_text('{"bet": "Bet ID"}')
    ran = shell.run(*report, *PERIOD, "--columns", str(tmp_path / "columns.json"), "-o", str(out))
    assert (ran.returncode, out.read_text()) == (2, "unchanged")
    backwards = ["--from", "2026-11-20", "--to", "2026-11-18"]
    assert "before it begins" in shell.run(*report, *backwards).stderr
    file.write_text("brand,bet,currency,stake,stake\nacme,1,EUR,10.00,99.00\n")
    assert "2 columns 'stake'" in shell.run(*report, *PERIOD).stderr
    assert shell.run(*report, *PERIOD, "-o", str(tmp_path / "nowhere" / "x.csv")).returncode == 1
    assert day.count("reconciliation") == 0


def test_a_text_that_no_cell_can_hold_is_a_bad_report(day: World, tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text(f"{HEAD}\nacme,{'9' * 32_768},EUR,10.00,,open\n")
    ran = Shell(day.settings.database_url).run("reconcile", "--game", "betflex", str(tmp_path / "report.csv"), *PERIOD)
    assert (ran.returncode, "line 2, column 'bet': 32768 characters" in ran.stderr) == (2, True)


def test_a_run_of_a_file_whose_name_is_not_utf_8_is_stored(day: World, tmp_path: Path) -> None:
    file = tmp_path / "r\udcff.csv"
    file.write_text("\n".join(["brand,bet,currency,stake,payout,status", *MATCHING_LINES.values()]))
    ran = Shell(day.settings.database_url).run("reconcile", "--provider", "betflex", str(file), *PERIOD)
    assert (ran.returncode, day.count("reconciliation")) == (0, 1)


def test_many_lines_of_unknown_bets_are_all_reported(
    day: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_BATCH", 3)
    unknown = {f"x{n}": f"acme,x{n},EUR,1.00,,open" for n in range(8)}
    ran = run(day, tmp_path, MATCHING_LINES | unknown | {"again": unknown["x5"]})
    assert sorted(kinds(ran)) == [("duplicate", "x5"), *(("missing_here", f"x{n}") for n in range(8))]


def test_columns_are_mapped_and_a_workbook_is_read(day: World, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Bet ID", "Amount", "currency", "payout", "status"])
    for line in MATCHING_LINES.values():
        _, uid, currency, stake, payout, status = line.split(",")
        sheet.append([uid, stake, currency, payout, status])
    book.save(tmp_path / "report.xlsx")
    (tmp_path / "columns.json").write_text('{"bet": "Bet ID", "stake": "Amount"}')
    shell = Shell(day.settings.database_url)
    arguments = ["reconcile", "--provider", "betflex", str(tmp_path / "report.xlsx"), *PERIOD, "--brand", "acme"]
    assert shell.run(*arguments, "--columns", str(tmp_path / "columns.json")).returncode == 0
    assert "no column 'bet'" in shell.run(*arguments).stderr


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "brand,bet,currency\nacme,1,EUR\n", "\x00", "brand,bet\xff"])
def test_an_invalid_file_is_a_bad_report(day: World, tmp_path: Path, content: str) -> None:
    file = tmp_path / "report.csv"
    file.write_bytes(content.encode("latin-1"))
    shell = Shell(day.settings.database_url)
    ran = shell.run("reconcile", "--provider", "betflex", str(file), *PERIOD)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (2, 1)
    assert day.count("reconciliation") == 0


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ([MATCHING_LINES["1"], "acme,2,EUR,10.00,0.00", MATCHING_LINES["3"]], "line 3: 5 cells, but the header has 6"),
        ([MATCHING_LINES["1"], "acme,2,EUR,10.00,0.00,lost,again"], "line 3: 7 cells, but the header has 6"),
        ([MATCHING_LINES["1"], "", "acme,2,EUR,10,00,0,00,lost"], "line 4: 8 cells"),
        (['acme,1,EUR,10.00,25.00,"won\nby much"', "acme,2,EUR"], "line 4: 3 cells"),
        ([MATCHING_LINES["1"], " "], "line 3: 1 cells"),
        ([MATCHING_LINES["1"], 'acme,2,EUR,10.00,0.00,"lost', MATCHING_LINES["3"]], "line 3: unexpected end of data"),
        (['acme,"1"2,EUR,10.00,25.00,won'], "line 2: "),
    ],
)
def test_a_row_with_a_wrong_number_of_cells_is_a_bad_report(
    day: World, tmp_path: Path, lines: list[str], what: str
) -> None:
    ran = run(day, tmp_path, lines)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert what in ran.stderr
    assert day.count("reconciliation") == 0


IDS = ("x", " x", "x ", "\u00a0x", "x\u200by", "x\u00a0y", "\u2028x")


@pytest.mark.all_together
def test_ids_are_compared_exactly_as_received(world: World, tmp_path: Path) -> None:
    """Earlier versions accepted ids with white space at their ends and characters that are not printable."""
    with freeze_time("2026-11-20T12:00:00Z"):
        for number, _ in enumerate(IDS):
            assert world.place(bet(f"old{number}", "1.00")) == OK
    with world.engine.begin() as connection:
        for number, uid in enumerate(IDS):
            renamed = text("UPDATE wager SET uid = :uid WHERE uid = :old")
            connection.execute(renamed, {"uid": uid, "old": f"old{number}"})
    lines = [f"acme,{uid},EUR,1.00,," for uid in IDS]
    assert kinds(run(world, tmp_path, lines)) == []
    for missing in IDS:
        others = [line for line in lines if f",{missing}," not in line]
        assert kinds(run(world, tmp_path, others)) == [("missing_there", missing)]
        later = ["--from", "2026-11-21", "--to", "2026-11-21"]
        assert kinds(run(world, tmp_path, [f"acme,{missing},EUR,1.00,,"], *later)) == [("late", missing)]
    assert kinds(run(world, tmp_path, [*lines, "acme ,x,EUR,1.00,,", "acme,x\u200b,EUR,1.00,,"])) == [
        ("missing_here", "x\u200b"),
        ("missing_here", "x"),
    ]
