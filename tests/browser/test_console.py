"""The console in a real browser: accessible, by keyboard, without JavaScript, on a phone and on a desk."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Visitor, visiting

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 900}
# The rules of WCAG 2.0 to 2.2, levels A and AA, and axe's best practices.
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
_PER_KIND = 3  # pages of a kind, such as deliveries


def kind_of(path: str) -> str:
    """Return what pages that differ only in what they show have in common."""
    return re.sub(r"(?<=/)(?=[^/]*\d)[^/]+|(?<=betflex/)[^/]+", "…", path)


def pages(visitor: Visitor) -> list[str]:
    """Return the addresses of all kinds of pages that links lead to; of each kind a few."""
    seen: dict[str, list[str]] = {}
    open_ = ["/console/"]
    while open_:
        path = open_.pop(0)
        found = seen.setdefault(kind_of(path), [])
        if path in found or len(found) == _PER_KIND or path.endswith(("/fixture", ".csv")):
            continue
        found.append(path)
        visitor.open(path)
        links = visitor.page.eval_on_selector_all("main a, nav a", "found => found.map(one => one.href)")
        open_ += [urlsplit(link).path for link in links if urlsplit(link).path.startswith("/console/")]
    return [path for paths in seen.values() for path in paths]


def filled_reports(paths: list[str]) -> list[str]:
    """Return the addresses of reports with their previews."""
    reports = (path for path in paths if re.fullmatch("/console/reports/[a-z-]+", path))
    more = "&brand=acme&uid=7"
    return [f"{path}?from=2026-01-01&to=2099-12-31{more if 'statement' in path else ''}" for path in reports]


def violations(page: Page) -> list[Any]:
    found = Axe().run(page, options=AXE).response["violations"]
    return [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_every_page_is_accessible_and_fits(
    chromium: Browser, address: str, viewport: dict[str, int], scheme: str
) -> None:
    with visiting(chromium, address, viewport=viewport, color_scheme=scheme) as visitor:
        paths = pages(visitor)
        assert {kind_of(path) for path in paths} >= {
            "/console/", "/console/deliveries", "/console/deliveries/…", "/console/customers", "/console/ledger",
            "/console/customers/acme/…", "/console/wagers/acme/betflex/…", "/console/ledger/trial-balance",
            "/console/ledger/accounts/…", "/console/ledger/transactions/…", "/console/reports",
            "/console/reports/journal", "/console/reconciliation", "/console/reconciliation/…", "/console/exceptions",
            "/console/exceptions/…", "/console/actions",
        }  # fmt: skip
        wrong = {}
        for path in (*paths, *filled_reports(paths), "/console/deliveries?outcome=accepted", "/console/?over=day"):
            page = visitor.open(path)
            found = violations(page)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                found.append("wider than the window")
            if found:
                wrong[path] = found
        assert wrong == {}
        assert visitor.complaints == [], "the Content-Security-Policy or a script"


def test_the_login_page_is_accessible_and_says_what_was_wrong(chromium: Browser, address: str) -> None:
    with visiting(chromium, address, None) as visitor:
        page = visitor.open("/console/login")
        assert violations(page) == []
        page.get_by_label("Username").fill("operations")
        page.get_by_label("Password").fill("wrong-pass-1")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("is wrong")
        assert violations(page) == []


def test_all_works_without_javascript(chromium: Browser, address: str) -> None:
    with visiting(chromium, address, java_script_enabled=False) as visitor:
        page = visitor.page
        for section in ("Deliveries", "Customers", "Ledger", "Reports", "Reconciliation", "Exceptions", "Audit trail"):
            page.get_by_role("navigation").get_by_role("link", name=section, exact=True).click()
            expect(page.get_by_role("heading", level=1)).to_contain_text(section)
        page = visitor.open("/console/deliveries")
        first = page.locator("tbody th a").first.get_attribute("href")
        page.get_by_role("button", name="More").click()
        assert page.locator("tbody th a").first.get_attribute("href") != first, "the next page"
        page.get_by_label("Outcome").select_option("refused")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        page.locator("tbody th a").first.click()
        page.get_by_role("button", name="What would we answer now?").click(timeout=60_000)
        expect(page.locator("#result")).to_contain_text("would be answered the same now: 402")
        page = visitor.open("/console/reports/journal?from=2020-01-01&to=2099-12-31")
        page.get_by_role("button", name="Export").click()
        while page.get_by_role("link", name="Look again").count():
            page.get_by_role("link", name="Look again").click()
        with page.expect_download() as download:
            page.get_by_role("link", name="journal_2020-01-01_2099-12-31.csv", exact=True).click()
        assert download.value.path().read_text().startswith("transaction,line,booked_on")


def test_with_javascript_rows_are_added_and_a_replay_is_shown_in_place(chromium: Browser, address: str) -> None:
    with visiting(chromium, address) as visitor:
        page = visitor.open("/console/deliveries")
        expect(page.locator("#rows tr")).to_have_count(50)
        page.get_by_role("button", name="More").click()
        expect(page.locator("#rows tr")).to_have_count(100)
        assert page.url.endswith("/console/deliveries")
        page = visitor.open("/console/deliveries?outcome=refused")
        page.locator("tbody th a").first.click()
        address_ = page.url
        page.get_by_role("button", name="What would we answer now?").click()
        expect(page.locator("#replayed")).to_contain_text("would be answered the same now: 402", timeout=60_000)
        assert page.url == address_
        assert violations(page) == []
        page = visitor.open("/console/reports/journal?from=2020-01-01&to=2099-12-31")
        page.get_by_label("Format").select_option("parquet")
        page.get_by_role("button", name="Export").click()
        expect(page.get_by_role("link", name="journal_2020-01-01_2099-12-31.parquet", exact=True)).to_be_visible(
            timeout=30_000
        )
        assert visitor.complaints == []


def test_all_is_reached_by_keyboard_with_visible_focus(chromium: Browser, address: str) -> None:
    with visiting(chromium, address, None, viewport=DESK) as visitor:
        page = visitor.open("/console/login")
        _tab_to(page, "Username")
        page.keyboard.type("finance")
        page.keyboard.press("Tab")
        page.keyboard.type("console-pass-1")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
        for section in ("Exceptions", "Customers"):
            _tab_to(page, section)
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", level=1)).to_have_text(section)
        _tab_to(page, "7")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("Customer 7")


def _tab_to(page: Page, name: str) -> None:
    """Press Tab until an element with this name has the focus; each on the way must show that it has it."""
    for _ in range(80):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const one = document.activeElement, style = getComputedStyle(one);
                const label = one.labels?.[0]?.textContent ?? one.textContent;
                return [label.trim(), style.outlineStyle !== 'none' || style.boxShadow !== 'none', one.outerHTML];
            }"""
        )
        assert focused[1], f"no visible focus: {focused[2][:200]}"
        if focused[0] == name:
            return
    raise AssertionError(f"{name} is not reached")


def test_each_role_sees_its_sections(chromium: Browser, address: str) -> None:
    with visiting(chromium, address, "qa") as visitor:
        expect(visitor.page.get_by_role("link", name="Reconciliation")).to_have_count(0)
        response = visitor.page.goto(f"{address}/console/reconciliation")
        assert response is not None
        assert response.status == 403
        expect(visitor.page.get_by_role("alert")).to_contain_text("may not do this")
        page = visitor.open("/console/exceptions/1")
        expect(page.get_by_role("button", name="Resolve")).to_have_count(0)
    with visiting(chromium, address, "finance") as visitor:
        page = visitor.open("/console/deliveries?outcome=refused")
        page.locator("tbody th a").first.click()
        expect(page.get_by_role("button", name="What would we answer now?")).to_have_count(0)


def test_signing_out_leads_to_the_login_page(chromium: Browser, address: str) -> None:
    with visiting(chromium, address) as visitor:
        visitor.page.get_by_role("button", name="Sign out").click()
        expect(visitor.page.get_by_role("button", name="Sign in")).to_be_visible()
        visitor.page.goto(f"{address}/console/customers")
        assert urlsplit(visitor.page.url).path == "/console/login"
