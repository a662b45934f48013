"""The console's pages: every link of every page leads to a page, and figures equal those of the commands."""

import html
import json
import re
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import select

from tests.console.staff import Browser, add_staff, csrf_token, deliveries, links, signed_in
from tests.test_commands import Shell
from tests.world import World, bet, refund, result
from wallet_hooks.customers.models import Payment
from wallet_hooks.database import reading, writing
from wallet_hooks.finance.models import Verification
from wallet_hooks.ledger.models import Transaction


@pytest.fixture
def busy_world(world: World) -> World:
    """A world in which something of everything has happened."""
    world.customer("8", balance="50.00", credit_limit="20.00")
    world.place(bet(1))
    world.place(bet(1))
    world.place(bet(2, "20.00"))
    world.place(bet(3, "1000.00"))
    world.place(bet("x/y %?#", "1.00", user=8))
    world.post("/bets", b"not json")
    world.settle(result(1, "25.00"))
    world.settle(result(77, "5.00"))
    world.cancel(refund(2))
    return world


def test_every_link_of_every_page_leads_to_a_page(busy_world: World) -> None:
    browser = signed_in(busy_world, "operations")
    seen, open_ = set[str](), {"/console/"}
    while open_:
        path = open_.pop()
        seen.add(path)
        response = browser.get(path)
        assert response.status_code == 200, f"{path}: {response.status_code}"
        if response.mimetype == "text/html":
            assert "<h1>" in response.text
            assert response.text.count('style="') == 0, path
            open_ |= links(response.text) - seen
    for section in ("deliveries", "customers", "ledger", "reports", "reconciliation", "exceptions", "actions"):
        assert f"/console/{section}" in seen
    assert any(path.startswith("/console/wagers/acme/betflex/x%2Fy") for path in seen)
    assert any(path.startswith("/console/ledger/transactions/") for path in seen)


def test_customer_and_wager_show_what_the_commands_show(busy_world: World) -> None:
    browser, shell = signed_in(busy_world, "finance"), Shell(busy_world.settings.database_url)
    for uid in ("7", "8"):
        facts = json.loads(shell.ok("customer", "show", "--brand", "acme", "--uid", uid, "--json"))
        page = browser.page(f"/console/customers/acme/{uid}")
        for name in ("balance", "available", "open_stakes", "exposure", "credit_limit"):
            assert f">{facts[name]} EUR</dd>" in page, name
        listed = browser.page("/console/customers")
        for name in ("balance", "available", "open_stakes", "credit_limit"):
            assert f'<td class="number">{facts[name]}</td>' in listed
    wager = json.loads(shell.ok("wager", "show", "--brand", "acme", "--game", "betflex", "--uid", "1", "--json"))
    page = browser.page("/console/wagers/acme/betflex/1")
    assert f"<dd>{wager['payout']} EUR</dd>" in page
    for delivery in wager["deliveries"]:
        assert delivery["id"] in page.replace("-", "")
    for transaction in wager["transactions"]:
        assert f"/console/ledger/transactions/{transaction['id']}" in page


def test_a_payment_is_shown_with_who_requested_it(busy_world: World) -> None:
    arguments = ("--brand", "acme", "--uid", "7", "--amount", "5.00", "--reference", "shown", "--method", "card")
    Shell(busy_world.settings.database_url).ok("cashier", "deposit", *arguments)
    with reading(busy_world.engine) as session:
        found = session.scalars(select(Transaction).where(Transaction.reference == "cashier:acme:deposit:shown")).one()
        payment = session.scalars(select(Payment).where(Payment.reference == "shown")).one()
    page = signed_in(busy_world, "finance").page(f"/console/ledger/transactions/{found.id}")
    shown = re.sub("<[^>]+>", "", page)
    assert re.search(rf"by card, requested [-:\d ]+UTC by {payment.created_by}, finished [-:\d ]+UTC", shown)
    assert "<dt>Callback</dt>" not in page


def test_trial_balance_and_previews_equal_the_exports(busy_world: World, tmp_path: Path) -> None:
    browser, shell = signed_in(busy_world, "finance"), Shell(busy_world.settings.database_url)
    page = browser.page("/console/ledger/trial-balance")
    today = page.partition('name="to" value="')[2][:10]
    period = {"from": today, "to": today}
    for report in ("trial-balance", "journal", "gaming-revenue", "open-bets", "player-funds", "deliveries"):
        file = tmp_path / f"{report}.jsonl"
        shell.ok("export", report, "--from", today, "--to", today, "--format", "jsonl", "-o", str(file))
        shown = html.unescape(
            page if report == "trial-balance" else browser.page(f"/console/reports/{report}", **period)
        )
        for line in file.read_text().splitlines()[:20]:
            row: dict[str, Any] = json.loads(line)
            for value in (value for name, value in row.items() if value is not None and not name.endswith("_at")):
                assert f">{value}<" in shown, (report, value)


def test_a_delivery_shows_request_answer_postings_and_repetitions(busy_world: World) -> None:
    browser = signed_in(busy_world, "qa")
    page = browser.page("/console/deliveries", bet="1")
    assert page.count('<th scope="row"><a href="/console/deliveries/') == 3
    first, second, _ = deliveries(page)
    shown = browser.page(first)
    assert "&#34;amount&#34;: &#34;10.00&#34;" in shown
    assert "&#34;uid&#34;: 501" in shown, "numbers stay numbers"
    assert "players:" in shown
    assert "10.00" in shown
    assert shown.count("/console/ledger/transactions/") == 2, "one transaction with two entries"
    repeated = browser.page(second)
    assert "It posted nothing." in repeated


@pytest.mark.parametrize(
    ("outcome", "count"), [("accepted", 6), ("refused", 1), ("rejected", 2), ("failed", 0), ("400", 1), ("", 9)]
)
@pytest.mark.all_together
def test_deliveries_are_found_by_outcome(busy_world: World, outcome: str, count: int) -> None:
    page = signed_in(busy_world, "qa").page("/console/deliveries", outcome=outcome)
    assert page.count('<th scope="row"><a href="/console/deliveries/') == count


@pytest.mark.all_together
def test_deliveries_are_found_by_customer_and_time(busy_world: World) -> None:
    browser = signed_in(busy_world, "qa")
    page = browser.page("/console/deliveries", brand="acme", customer="8")
    assert page.count('<th scope="row"><a href="/console/deliveries/') == 1
    assert browser.page("/console/deliveries", **{"from": "2099-01-01T00:00"}).count('<th scope="row">') == 0
    everything = browser.page("/console/deliveries", **{"from": "2020-01-01T00:00", "to": "2099-01-01T00:00"})
    assert everything.count('<th scope="row"><a href="/console/deliveries/') == 9


def test_a_bet_that_was_cancelled_before_it_came_is_found_by_its_customer(world: World) -> None:
    world.cancel(refund("early"))
    assert world.place(bet("early")).status == 402
    browser = signed_in(world, "qa")
    found = deliveries(browser.page("/console/deliveries", brand="acme", customer="7"))
    assert len(found) == 2
    shown = browser.page(found[1])
    assert "bet_cancelled" in shown
    assert "acme 7" in shown


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param({"customer": "7"}, "give both", marks=pytest.mark.all_together),
        ({"brand": "acme"}, "give both"),
        ({"brand": "acme", "customer": "nobody"}, "no customer"),
        ({"outcome": "green"}, "unknown"),
        ({"from": "soon"}, "a time such as"),
    ],
)
def test_a_search_that_cannot_be_done_keeps_its_form(world: World, query: dict[str, str], message: str) -> None:
    response = signed_in(world, "qa").get("/console/deliveries", **query)
    assert response.status_code == 400
    assert message in response.text
    for name, value in query.items():
        if name in ("customer", "from"):
            assert f'value="{value}"' in response.text


def test_a_link_with_parameters_survives_the_sign_in(world: World) -> None:
    response = world.client.get("/console/deliveries?bet=9")
    assert response.headers["Location"] == "/console/login?next=%2Fconsole%2Fdeliveries%3Fbet%3D9"


def test_lists_continue_page_by_page_without_gaps(world: World) -> None:
    world.deposit("10000.00")
    for number in range(120):
        world.place(bet(number, "1.00"))
    browser = signed_in(world, "qa")
    for path, kind in (
        ("/console/deliveries", "/console/deliveries/"),
        ("/console/customers/acme/7", "/console/ledger/transactions/"),
    ):
        found: list[str] = []
        page = browser.page(path)
        while True:
            found += [one for one in page.split('"') if one.startswith(kind) and one.count("/") == kind.count("/")]
            more = re.search(r'[?;]after=([^"&]+)"', page)
            if more is None:
                break
            page = browser.page(path, after=more[1])
        assert len(found) == len(set(found)) >= 120


def test_overview_shows_what_needs_a_person(busy_world: World) -> None:
    browser = signed_in(busy_world, "operations")
    page = browser.page("/console/")
    assert "Not verified yet" in page
    assert "Unknown bet" in page
    assert "insufficient_funds" in page
    assert "accepted: 6" in page
    Shell(busy_world.settings.database_url).ok("verify")
    assert "all rules hold" in browser.page("/console/")
    with writing(busy_world.engine) as session:
        whole = session.scalars(select(Verification)).one()
        facts = {"run_at": whole.run_at, "last_id": whole.last_id}
        session.add(Verification(since=None, differences=2, **facts))
        session.flush()
        session.add(Verification(since=date(2026, 1, 1), differences=0, **facts))
    assert "2 differences" in browser.page("/console/"), "a later run over less does not hide them"
    Shell(busy_world.settings.database_url).ok("verify")
    assert "all rules hold" in browser.page("/console/")
    assert "accepted: 6" in browser.page("/console/", over="day")


def test_limits_near_their_end_are_shown_with_their_customer(world: World) -> None:
    shell = Shell(world.settings.database_url)
    limit = ("--type", "bet", "--frame", "day", "--amount", "10.00", "--reason", "asked")
    shell.ok("limit", "set", "--brand", "acme", "--uid", "7", *limit)
    world.place(bet(1, "9.00"))
    browser = signed_in(world, "operations")
    page = browser.page("/console/")
    assert "bet a day" in page
    assert '<td class="number">9.00</td><td class="number">10.00</td>' in page
    customer = browser.page("/console/customers/acme/7")
    assert '<td class="number">1.00</td>' in customer
    assert "<meter" in customer


@pytest.mark.parametrize(
    "path",
    [
        "/console/deliveries/1", "/console/deliveries/0193e5b0-0000-7000-8000-000000000000", "/console/wagers/a/b/c",
        "/console/customers/acme/nobody", "/console/ledger/accounts/99999", "/console/ledger/accounts/x",
        "/console/ledger/transactions/99999999999999999999", "/console/exceptions/0", "/console/reconciliation/9",
        "/console/exports/ffffffffffffffffffffffffffffffff", "/console/exports/..", "/console/nothing",
        "/console/static/../models.py", "/console/deliveries?after=zz", "/console/exceptions?after=-1",
        "/console/customers?after=%00",
    ],
)  # fmt: skip
def test_what_does_not_exist_is_a_page_that_says_so(world: World, path: str) -> None:
    response = signed_in(world, "operations").get(path)
    assert response.status_code in (400, 404), response.status_code
    assert response.mimetype == "text/html"


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/console/deliveries", {"outcome": "green"}),
        ("/console/deliveries", {"from": "soon"}),
        ("/console/deliveries", {"to": "0001-01-01T00:00"}),
        ("/console/deliveries", {"from": "9999-12-31T23:59:59+00:00", "to": "9999-12-31T23:59"}),
        ("/console/deliveries", {"bet": "\0"}),
        ("/console/deliveries", {"bet": "a" * 5000}),
        ("/console/customers", {"q": "%_\\"}),
        ("/console/customers", {"q": "\ud800"}),
        ("/console/reports/journal", {"from": "2026-13-01"}),
        ("/console/reports/journal", {"from": "2026-02-01", "to": "2026-01-01"}),
        ("/console/reports/nothing", {}),
        ("/console/reports/statement", {"from": "2026-01-01", "brand": "acme", "uid": "nobody"}),
        ("/console/ledger/trial-balance", {"from": "0001-01-01"}),
        ("/console/", {"over": "year"}),
    ],
)
def test_bad_parameters_are_refused_with_a_page(world: World, path: str, query: dict[str, str]) -> None:
    browser = signed_in(world, "operations")
    response = browser.client.get(path, query_string={n: v.encode("utf-8", "surrogatepass") for n, v in query.items()})
    assert response.status_code in (200, 400, 404), response.status_code
    assert response.mimetype == "text/html"


def test_start_page_says_what_this_is(world: World) -> None:
    page = world.client.get("/")
    assert page.status_code == 200
    assert 'href="/docs"' in page.text
    assert 'href="/console/"' in page.text


def test_values_are_escaped(world: World) -> None:
    world.place(bet("<script>alert(1)</script>", "1000.00"))
    browser: Browser = signed_in(world, "qa")
    page = browser.page("/console/deliveries")
    (first,) = deliveries(page)
    assert "<script>alert" not in page + browser.page(first)


@pytest.mark.parametrize("character", ["\\ud800", "\\u0000"])
def test_a_delivery_with_an_id_that_cannot_be_stored_is_shown_and_recorded(
    world: World, character: str, tmp_path: Path
) -> None:
    body = json.dumps({"bets": [bet("BAD", user="BAD", client="BAD"), bet("BAD"), bet(1, user="BAD")]})
    assert world.post("/bets", body.replace("BAD", character).encode()).status == 400
    world.place(bet(2))
    browser = signed_in(world, "qa")
    for path in deliveries(browser.page("/console/deliveries")):
        assert browser.get(path).status_code == 200
        assert browser.get(f"{path}/fixture").status_code == 200
    assert browser.get("/console/").status_code == 200
    Shell(world.settings.database_url).ok("replay", "record", "-o", str(tmp_path / "capture.jsonl"))


def test_broken_addresses_in_headers_are_no_defects(world: World) -> None:
    client = world.client
    assert client.get("/console/login?next=//[").status_code == 200
    assert client.post("/console/login", data={"username": "x"}, headers={"Origin": "http://["}).status_code == 403
    browser = signed_in(world, "operations")
    assert browser.client.get("/console/zzz", headers={"Referer": "http://["}).status_code == 404
    refused = browser.client.post("/console/ledger/close", headers={"Referer": "http://["})
    assert refused.status_code == 403


def test_a_customer_whose_id_has_a_slash_has_a_page(world: World) -> None:
    world.customer("a/b")
    browser = signed_in(world, "qa")
    assert "/console/customers/acme/a%2Fb" in browser.page("/console/customers")
    assert "Customer a/b" in browser.page("/console/customers/acme/a%2Fb")


def test_search_by_the_beginning_of_an_id_is_case_sensitive(world: World) -> None:
    for uid in ("Ab1", "aB2", "a%3"):
        world.customer(uid)
    browser = signed_in(world, "qa")
    for text, found in {"Ab": {"Ab1"}, "aB": {"aB2"}, "AB": set(), "a%": {"a%3"}}.items():
        customers = {one for one in links(browser.page("/console/customers", q=text)) if "/customers/acme/" in one}
        assert customers == {f"/console/customers/acme/{quote(uid, safe='')}" for uid in found}, text


@pytest.mark.parametrize("uid", ["/9", "//9", "9?x=1", "9#x", "9%2F", "é€", "9\\", "..9"])
def test_a_page_of_any_id_is_reached_also_by_signing_in(busy_world: World, uid: str) -> None:
    busy_world.place(bet(uid, "1.00"))
    page = f"/console/wagers/acme/betflex/{quote(uid, safe='')}"
    browser = Browser(busy_world)
    form = browser.client.get(page, follow_redirects=True).text
    (following,) = re.findall('name="next" value="([^"]+)"', form)
    assert html.unescape(following) == page
    name = add_staff(busy_world, "operations")
    shown = browser.sign_in(name, next=html.unescape(following)).text
    assert f"Wager {html.escape(uid)} of acme" in shown


@pytest.mark.parametrize("uid", ["/7", "//7", "7/", "7//"])
def test_an_id_with_slashes_at_its_ends_never_leads_to_another_id(busy_world: World, uid: str) -> None:
    browser = signed_in(busy_world, "operations")
    part = quote(uid, safe="")
    for page in (f"/console/customers/acme/{part}", f"/console/wagers/acme/betflex/{part.replace('7', '1')}"):
        assert browser.get(page).status_code == 404, page
    token = csrf_token(browser.page("/console/wagers/acme/betflex/1"))
    action = f"/console/wagers/acme/betflex/{part.replace('7', '1')}/resettle"
    form = {"csrf_token": token, "payout": "30.00", "reason": "x"}
    assert browser.client.post(action, data=form).status_code == 404
    assert browser.get("//console/customers/acme//7").status_code == 404
