"""A served console with data, and Debian's Chromium without a window."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.data import fill
from tests.console.staff import PASSWORD, add_staff
from tests.service import served
from tests.world import World

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without the sandbox it runs as root, as in a container.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(request: pytest.FixtureRequest, templates: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service in which something of everything has happened, with a member of staff of each role."""
    directory = tmp_path_factory.mktemp("console")
    url, drop = templates.copy(request.param, "world", directory / "console.db")
    world = World(url)
    fill(world)
    for role in ("operations", "finance", "qa"):
        add_staff(world, role)
    world.close()
    settings = {"WALLET_HOOKS_CONSOLE_DIRECTORY": str(directory / "exports")}
    with served(url, directory, settings=settings) as (found, _):
        yield found
    drop()


class Visitor:
    """Opens pages in a context of its own, and keeps what the browser complained about."""

    def __init__(self, address: str, page: Page) -> None:
        self.address = address
        self.page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self._keep(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("requestfailed", lambda sent: self.complaints.append(f"{sent.url}: {sent.failure}"))

    def _keep(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def open(self, path: str) -> Page:
        response = self.page.goto(f"{self.address}{path}")
        assert response is not None
        assert response.status == 200, path
        return self.page

    def sign_in(self, username: str) -> None:
        self.open("/console/")
        self.page.get_by_label("Username").fill(username)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(f"{self.address}/console/")  # loaded: another visit would abort it


@contextmanager
def visiting(chromium: Browser, address: str, role: str | None = "operations", **context: Any) -> Iterator[Visitor]:
    """Yield a visitor who is signed in with a role; `context` are options of the browser, such as the viewport."""
    opened = chromium.new_context(**context)
    visitor = Visitor(address, opened.new_page())
    if role is not None:
        visitor.sign_in(role)
    yield visitor
    opened.close()
