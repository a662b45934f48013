"""The console where each brand has a schema: its pages show one brand, which is chosen."""

import html
import json
import re

from tests.brand_schemas.conftest import BRANDS
from tests.console.staff import PASSWORD, Browser, csrf_token, deliveries, links, signed_in
from tests.test_commands import Shell
from tests.world import OK, World, bet, result


def test_the_pages_show_the_brand_that_was_chosen(spread: World) -> None:
    for client in BRANDS:
        assert spread.place(bet(f"of-{client}", client=client)) == OK
    browser = signed_in(spread, "operations")
    assert "/console/customers/acme/7" in links(browser.page("/console/customers"))
    browser.submit("/console/", "/console/brand", brand="nordbet")
    assert links(browser.page("/console/customers")) & {f"/console/customers/{client}/7" for client in BRANDS} == {
        "/console/customers/nordbet/7"
    }
    for address in ("/console/", "/console/ledger", "/console/deliveries", "/console/exceptions", "/console/actions"):
        assert "<option selected>nordbet</option>" in browser.page(address)
    # The brand that an address names is shown whatever was chosen.
    page = browser.page("/console/wagers/west/betflex/of-west")
    assert "of-west" in page
    for address in links(page):
        if "/deliveries/" in address or "/transactions/" in address:
            browser.page(address)
    assert browser.submit("/console/", "/console/brand", brand="nobody").status_code == 404


def test_callbacks_of_several_brands_and_of_none_are_found_apart(spread: World) -> None:
    assert spread.place(bet(1)) == OK
    assert spread.place(bet(2), bet(2, client="west")) == OK
    assert spread.post("/bets", b"{").status == 400
    browser = signed_in(spread, "operations")
    own, apart = (deliveries(browser.page("/console/deliveries", **query)) for query in ({}, {"apart": "on"}))
    assert (len(own), len(apart)) == (1, 2)
    assert "west" in "".join(browser.page(address) for address in apart)
    assert deliveries(browser.page("/console/deliveries", customer="7")) == own


def test_books_are_closed_for_the_brand_that_is_shown(spread: World, shell: Shell) -> None:
    browser = signed_in(spread, "operations")
    browser.submit("/console/", "/console/brand", brand="west")
    browser.submit("/console/ledger", "/console/ledger/close", day="2026-01-01")
    assert shell.run("reopen", "2026-01-01", "--reason", "x", "--brand", "acme").returncode == 1
    assert shell.run("reopen", "2026-01-01", "--reason", "x", "--brand", "west").returncode == 0


def test_a_form_acts_on_the_brand_that_its_page_showed(spread: World, shell: Shell) -> None:
    browser = signed_in(spread, "operations")
    browser.submit("/console/", "/console/brand", brand="west")
    form = {"csrf_token": csrf_token(page := browser.page("/console/ledger")), "day": "2026-01-01"}
    assert 'name="shown_brand" value="west"' in page
    browser.submit("/console/", "/console/brand", brand="acme")  # in another tab
    refused = browser.client.post("/console/ledger/close", data=form | {"shown_brand": "west"})
    assert (refused.status_code, "Nothing was done" in refused.text) == (400, True)
    browser.submit("/console/ledger", "/console/ledger/close", day="2026-01-01", shown_brand="acme")
    done = [row for row in json.loads(shell.ok("staff", "actions", "--json")) if row["action"] == "close"]
    assert [row["details"] for row in done] == [{"brand": "acme"}]


def test_a_page_of_an_unknown_brand_is_not_found(spread: World) -> None:
    browser = signed_in(spread, "operations")
    browser.submit("/console/", "/console/brand", brand="west")
    assert browser.get("/console/exceptions", shown_brand="gone").status_code == 404
    assert "west" in browser.page("/console/ledger"), "it is still the chosen one"


def test_staff_can_sign_in_before_there_is_a_brand(spread: World, shell: Shell) -> None:
    shell.ok("staff", "add", "--username", "first", "--role", "qa", "--password-stdin", stdin=f"{PASSWORD}\n")
    browser = Browser(spread)
    assert browser.sign_in("first").status_code == 200
    assert csrf_token(browser.page("/console/actions"))


def test_a_list_goes_on_with_the_brand_that_it_began_with(spread: World) -> None:
    for number in range(60):
        assert spread.place(bet(f"a{number}", "0.01"), bet(f"w{number}", "0.01", client="west")).status == 200
    for client, count in (("acme", 60), ("west", 5)):
        for number in range(count):
            assert spread.settle(result(f"{client}-unknown{number}", client=client)).status == 404
    browser = signed_in(spread, "operations")
    more = re.search(r'hx-get="([^"]+)"', browser.page("/console/exceptions"))
    assert more is not None
    browser.submit("/console/", "/console/brand", brand="west")  # in another tab
    rows = browser.client.get(html.unescape(more[1]), headers={"HX-Request": "true"}).text
    assert "acme-unknown55" in rows
    assert "west-unknown" not in rows
    assert "<option selected>west</option>" in browser.page("/console/exceptions")


def test_the_audit_trail_leads_to_what_an_action_was_done_to(spread: World) -> None:
    assert spread.settle(result("unknown", client="west")).status == 404
    browser = signed_in(spread, "operations")
    browser.submit("/console/", "/console/brand", brand="west")
    (address,) = (one for one in links(browser.page("/console/exceptions")) if one.startswith("/console/exceptions/"))
    browser.submit(address, f"{address}/comment", comment="asked")
    browser.submit("/console/", "/console/brand", brand="acme")
    found = re.search(rf'href="({address}[^"]*)"', browser.page("/console/actions"))
    assert found is not None
    assert "asked" in browser.page(html.unescape(found[1]))
