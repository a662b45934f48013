"""What staff does in the console: it is done as the command does it, and recorded."""

import json
import re
import resource
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from freezegun import freeze_time
from openpyxl import Workbook

from tests.console.staff import Browser, actions, add_staff, csrf_token, links, signed_in
from tests.test_commands import Shell
from tests.world import World, bet, result

START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def two_persons(settled: World, tmp_path: Path) -> World:
    """The world with a settled bet, where a resettlement takes two members of staff."""
    rules = tmp_path / "policy.json"
    rules.write_text('{"resettle_approval": true}')
    Shell(settled.settings.database_url).ok("brand", "policy", "--client", "acme", str(rules))
    return settled


def test_an_exception_is_commented_and_resolved_once(world: World) -> None:
    world.settle(result(77))
    browser = signed_in(world, "finance")
    page = "/console/exceptions/1"
    assert "Asked the provider" in browser.submit(page, f"{page}/comment", comment="Asked the provider").text
    assert "resolved" in browser.submit(page, f"{page}/resolve", reason="their test bet").text
    (row,) = world.exceptions()
    assert (row["reason"], row["resolved_at"] is not None) == ("their test bet", True)
    token = csrf_token(browser.page(page))
    again = browser.client.post(f"{page}/resolve", data={"csrf_token": token, "reason": "again"})
    assert again.status_code == 400
    assert "is resolved already" in again.text
    assert actions(world) == [("finance", "comment", "exception 1"), ("finance", "resolve", "exception 1")]
    for form in (
        {},
        {"reason": " "},
        {"reason": "x" * 1001},
        {"reason": "a\0"},
        {"reason": "\x1b[2J"},
        {"reason": "\u202e"},
    ):
        assert browser.client.post(f"{page}/resolve", data={"csrf_token": token, **form}).status_code == 400


def test_a_resettlement_from_an_outdated_page_or_without_a_change_is_refused(settled: World) -> None:
    browser = signed_in(settled, "operations")
    page = "/console/wagers/acme/betflex/9"
    form = {"csrf_token": csrf_token(browser.page(page)), "reason": "odds"}
    (shown,) = re.findall('name="settlement" value="([0-9]+)"', browser.page(page))

    def send(payout: str, **more: str) -> str:
        answer = browser.client.post(f"{page}/resettle", data={**form, "payout": payout, **more}, follow_redirects=True)
        return answer.text

    assert "nothing was done" in send("25.00")
    assert "nothing was done" in send("25.00", result="lost")
    assert "settled again" in send("30.00", settlement=shown)
    assert "settled again meanwhile" in send("31.00", settlement=shown)
    send("32.00")
    rows = json.loads(Shell(settled.settings.database_url).ok("staff", "actions", "--json"))
    changes = [row["details"] for row in rows if row["action"] == "resettle"]
    assert sorted((one["payout_before"], one["payout"]) for one in changes) == [("25.00", "30.00"), ("30.00", "32.00")]
    assert settled.balance() == "122.00"


def test_a_request_that_was_overtaken_or_changes_nothing_is_refused(two_persons: World) -> None:
    browser = signed_in(two_persons, "operations")
    page = "/console/wagers/acme/betflex/9"
    (shown,) = re.findall('name="settlement" value="([0-9]+)"', browser.page(page))
    two_persons.settle(result(payout="26.00"))
    asked = browser.submit(page, f"{page}/resettle", payout="30", reason="odds", settlement=shown)
    assert (asked.status_code, "meanwhile" in asked.text) == (400, True)
    asked = browser.submit(page, f"{page}/resettle", payout="26", reason="odds")
    assert (asked.status_code, "nothing was done" in asked.text) == (400, True)
    assert actions(two_persons) == []


def test_resettling_posts_a_new_settlement(settled: World) -> None:
    browser = signed_in(settled, "operations")
    page = "/console/wagers/acme/betflex/9"
    done = browser.submit(page, f"{page}/resettle", payout="30.00", reason="wrong odds")
    assert done.status_code == 200
    assert "The wager is settled again." in done.text
    assert settled.balance() == "120.00"
    assert actions(settled) == [("operations", "resettle", "betflex:acme:9")]
    assert settled.differences() == []
    for form in ({"payout": "-1", "reason": "x"}, {"payout": "1.001", "reason": "x"}, {"payout": "1", "reason": ""}):
        assert browser.submit(page, f"{page}/resettle", **form).status_code == 400
    assert settled.balance() == "120.00"


def test_a_second_person_approves_where_the_policy_asks_for_it(two_persons: World) -> None:
    first, second = signed_in(two_persons, "operations"), signed_in(two_persons, "finance")
    page = "/console/wagers/acme/betflex/9"
    asked = first.submit(page, f"{page}/resettle", payout="30.00", reason="wrong odds", result="won")
    assert "waits for a second person" in asked.text
    assert two_persons.balance() == "115.00"
    assert first.submit(page, f"{page}/decide", request="1", decision="approved").status_code == 403
    assert first.submit(page, f"{page}/decide", request="2", decision="approved").status_code == 404
    assert second.submit(page, f"{page}/decide", request="1", decision="maybe").status_code == 400
    assert two_persons.balance() == "115.00"
    assert second.submit(page, f"{page}/decide", request="1", decision="approved").status_code == 200
    assert two_persons.balance() == "120.00"
    assert second.submit(page, f"{page}/decide", request="1", decision="approved").status_code == 400
    assert [action for _, action, _ in actions(two_persons)] == ["resettlement_requested", "resettlement_approved"]
    *_, approved = json.loads(Shell(two_persons.settings.database_url).ok("staff", "actions", "--json"))
    assert approved["details"]["result"] == "won"


def test_an_approval_is_refused_once_the_wager_was_settled_again(two_persons: World) -> None:
    first, second = signed_in(two_persons, "operations"), signed_in(two_persons, "finance")
    page = "/console/wagers/acme/betflex/9"
    first.submit(page, f"{page}/resettle", payout="30", reason="wrong odds")
    assert "From 25.00 to 30.00 EUR" in second.page(page)
    assert "/console/wagers/acme/betflex/9" in second.page("/console/"), "the overview lists what waits"
    again = second.submit(page, f"{page}/resettle", payout="31", reason="other")
    assert again.status_code == 400
    assert "waits for a decision already" in again.text
    assert ">Approve<" in second.page(page)
    two_persons.settle(result(payout="27.00"))
    assert ">Approve<" not in second.page(page)
    assert "can only be rejected" in second.page(page)
    refused = second.submit(page, f"{page}/decide", request="1", decision="approved")
    assert refused.status_code == 400
    assert "settled again meanwhile" in refused.text
    assert two_persons.balance() == "117.00"
    assert second.submit(page, f"{page}/decide", request="1", decision="rejected").status_code == 200


def test_an_approval_is_done_once_by_many_at_once(two_persons: World) -> None:
    first, second = signed_in(two_persons, "operations"), signed_in(two_persons, "finance")
    page = "/console/wagers/acme/betflex/9"
    first.submit(page, f"{page}/resettle", payout="30.00", reason="wrong odds")
    token = csrf_token(second.page(page))
    cookie = second.client.get_cookie("wallet_hooks_console", path="/console")
    assert cookie is not None

    def approve(_: int) -> int:
        client = two_persons.app.test_client()
        client.set_cookie("wallet_hooks_console", cookie.value, path="/console")
        form = {"csrf_token": token, "request": "1", "decision": "approved"}
        return client.post(f"{page}/decide", data=form).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(approve, range(8)))
    assert statuses == [303] + 7 * [400]
    assert two_persons.balance() == "120.00"
    assert two_persons.differences() == []


def test_days_are_closed_and_reopened_with_a_reason(world: World) -> None:
    add_staff(world, "finance")
    with freeze_time(START) as clock:
        world.place(bet())
        clock.move_to(START + timedelta(days=1))
        browser = Browser(world)
        browser.sign_in("finance")
        assert "closed and sealed" in browser.submit("/console/ledger", "/console/ledger/close", day="2026-11-20").text
        refused = browser.submit("/console/ledger", "/console/ledger/close", day="2026-11-21")
        assert refused.status_code == 400
        no_reason = browser.submit("/console/ledger", "/console/ledger/reopen", day="2026-11-20")
        assert no_reason.status_code == 400
        page = browser.submit("/console/ledger", "/console/ledger/reopen", day="2026-11-20", reason="late file").text
    assert "by finance: late file" in page
    assert actions(world) == [("finance", "close", "2026-11-20"), ("finance", "reopen", "2026-11-20")]


def test_a_comment_that_is_sent_twice_is_stored_once(world: World) -> None:
    world.settle(result(77))
    browser, page = signed_in(world, "finance"), "/console/exceptions/1"
    for comment, newest in (("Asked", ""), ("Asked", ""), ("They answered", 1), ("Asked", ""), ("Asked", 2)):
        browser.submit(page, f"{page}/comment", comment=comment, newest=newest)
    assert [action for _, action, _ in actions(world)] == ["comment"] * 3, "the last one is a new remark"
    assert 'name="newest" value="3"' in browser.page(page)


def test_a_comment_that_is_sent_twice_at_once_is_stored_once(world: World) -> None:
    world.settle(result(77))
    browser, page = signed_in(world, "finance"), "/console/exceptions/1"
    form = {"csrf_token": csrf_token(browser.page(page)), "comment": "Asked", "newest": ""}
    cookie = browser.client.get_cookie("wallet_hooks_console", path="/console")
    assert cookie is not None

    def send(_: int) -> int:
        client = world.app.test_client()
        client.set_cookie("wallet_hooks_console", cookie.value, path="/console")
        return client.post(f"{page}/comment", data=form).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, range(8))) == {303}
    assert [action for _, action, _ in actions(world)] == ["comment"]


@pytest.mark.all_together
def test_days_that_were_closed_meanwhile_are_not_reopened(world: World) -> None:
    browser, page = signed_in(world, "finance"), "/console/ledger"
    for day in ("2026-01-01", "2026-01-02"):
        browser.submit(page, f"{page}/close", day=day)
    reopen = {"day": "2026-01-01", "reason": "too early"}
    outdated = browser.submit(page, f"{page}/reopen", **reopen, newest="2026-01-01")
    assert (outdated.status_code, "2026-01-02 is the last closed day" in outdated.text) == (400, True)
    assert 'name="newest" value="2026-01-02"' in browser.page(page)
    assert browser.submit(page, f"{page}/reopen", **reopen, newest="2026-01-02").status_code == 200


@pytest.mark.all_together
def test_what_was_done_before_is_not_said_of_an_action_that_was_not_done(world: World) -> None:
    browser, page = signed_in(world, "finance"), "/console/ledger"
    browser.submit(page, f"{page}/close", day="2026-01-01")
    before = {"Referer": f"http://localhost{page}?done=closed&after=5"}
    refused = browser.client.post(f"{page}/close", data={"csrf_token": "x"}, headers=before)
    assert f'href="{page}?after=5"' in refused.text
    assert "done=" not in refused.text


def test_a_report_is_uploaded_and_each_break_leads_to_its_wager(settled: World) -> None:
    browser = signed_in(settled, "finance")
    today = datetime.now(UTC).date().isoformat()
    report = b"brand,bet,currency,stake,payout,status\nacme,9,EUR,10.00,20.00,won\nacme,404,EUR,1.00,,open\n"
    form = {"provider": "betflex", "from": today, "to": today, "file": (BytesIO(report), "report.csv")}
    page = browser.submit("/console/reconciliation", "/console/reconciliation", **form).text
    assert "Amount</a>: 1" in page
    assert "Missing here</a>: 1" in page
    assert "/console/wagers/acme/betflex/9" in page
    assert "/console/wagers/acme/betflex/404" not in page
    assert "Missing here" not in browser.page("/console/reconciliation/1", kind="amount").partition("<tbody")[2]
    assert actions(settled) == [("finance", "reconcile", "run 1")]
    breaks = browser.get("/console/reconciliation/1/breaks.csv")
    assert breaks.text.splitlines()[0] == "kind,brand,bet,line,theirs,ours"
    assert len(breaks.text.splitlines()) == 3
    assert actions(settled)[1:] == [("finance", "download_breaks", "run 1")]
    assert "/console/reconciliation/1" in links(browser.page("/console/actions", what="reconcile"))
    assert "<tbody" in browser.page("/console/actions", who="nobody")
    assert "run 1" not in browser.page("/console/actions", who="nobody")
    for field in ("brand", "columns"):
        wrong = form | {"file": (BytesIO(report), "report.csv"), field: "é" * 25_000}
        long = browser.submit("/console/reconciliation", "/console/reconciliation", **wrong)
        assert long.status_code == 400, field
    assert "run 1" not in signed_in(settled, "qa").page("/console/actions")
    for name, content in (("report.csv", b"brand,bet\n"), ("report.exe", report), ("report.xlsx", report), ("", b"")):
        bad = browser.submit(
            "/console/reconciliation", "/console/reconciliation", **form | {"file": (BytesIO(content), name)}
        )
        assert bad.status_code == 400, name
    assert settled.count("reconciliation") == 1


def uploaded(world: World, report: BytesIO, name: str) -> Any:
    """Upload a provider's report of one day; return the answer."""
    form = {"provider": "betflex", "from": "2026-11-20", "to": "2026-11-20", "file": (report, name)}
    return signed_in(world, "finance").submit("/console/reconciliation", "/console/reconciliation", **form)


def test_a_report_of_megabytes_is_taken(settled: World) -> None:
    lines = b"".join(b"acme,%d,EUR,10.00,,open\n" % number for number in range(60_000))
    report = BytesIO(b"brand,bet,currency,stake,payout,status\n" + lines)
    answer = uploaded(settled, report, "report.csv")
    assert answer.status_code == 200
    assert "<dd>60,000</dd>" in answer.text
    assert settled.count("reconciliation_break") == 10_000


def test_a_sheet_with_a_row_far_away_is_refused_at_once(settled: World) -> None:
    plain, sent = BytesIO(), BytesIO()
    book = Workbook()
    book.active.append(["brand", "bet", "currency", "stake"])
    book.save(plain)
    with ZipFile(plain) as source, ZipFile(sent, "w") as target:
        for name in source.namelist():
            far = b'<row r="99999999999999"><c><v>1</v></c></row></sheetData>'
            target.writestr(name, source.read(name).replace(b"</sheetData>", far))
    sent.seek(0)
    answer = uploaded(settled, sent, "far.xlsx")
    assert answer.status_code == 400
    assert "1048576 rows" in answer.text


@pytest.mark.slow
def test_a_report_that_unpacks_to_more_than_the_memory_is_refused(settled: World) -> None:
    bomb = BytesIO()
    book = Workbook()
    book.active.append(["brand", "bet", "currency", "stake"])
    book.save(bomb)
    packed = BytesIO()
    with ZipFile(bomb) as plain, ZipFile(packed, "w", ZIP_DEFLATED) as swollen:
        for name in plain.namelist():
            content = plain.read(name)
            if name == "xl/worksheets/sheet1.xml":
                content = content.replace(b"</row>", b"<c/>" * 30_000_000 + b"</row>")
            swollen.writestr(name, content)
    assert packed.tell() < 1_000_000
    packed.seek(0)
    answer = uploaded(settled, packed, "bomb.xlsx")
    assert answer.status_code == 400
    assert "too large" in answer.text
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2 * 1024**2, "kibibytes: not in this process"
