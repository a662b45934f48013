"""A member of staff at the console, as a browser without JavaScript sees it."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

from werkzeug.test import TestResponse

from tests.test_commands import Shell
from tests.world import World
from wallet_hooks import clock
from wallet_hooks.console import staff
from wallet_hooks.database import writing
from wallet_hooks.identity.passwords import hash_password

PASSWORD = "console-pass-1"


def add_staff(world: World, role: str, username: str | None = None) -> str:
    """Add a member of staff, by default named as the role; return the username."""
    username = username or role
    with writing(world.engine) as session:
        hashed = hash_password(PASSWORD)
        staff.add(session, username=username, role=role, password_hash=hashed, now=clock.now())
    return username


class Browser:
    """Keeps the session's cookie, follows redirects, and sends forms with the token of the page that has them."""

    def __init__(self, world: World) -> None:
        self.client = world.app.test_client()

    def sign_in(self, username: str, password: str = PASSWORD, **fields: str) -> TestResponse:
        form = {"username": username, "password": password, **fields}
        return self.client.post("/console/login", data=form, follow_redirects=True)

    def get(self, path: str, **query: str) -> TestResponse:
        return self.client.get(path, query_string=query or None)

    def page(self, path: str, **query: str) -> str:
        """Return the text of a page that is there."""
        response = self.get(path, **query)
        assert response.status_code == 200, (path, response.status_code, response.text[-500:])
        return response.text

    def submit(self, page: str, action: str, **fields: Any) -> TestResponse:
        """Send the form of a page with this action, with its token, and follow the redirect."""
        token = csrf_token(self.page(page))
        data = {"csrf_token": token, **fields}
        return self.client.post(action, data=data, follow_redirects=True)


def signed_in(world: World, role: str) -> Browser:
    """Return the browser of a new member of staff with a role."""
    browser = Browser(world)
    response = browser.sign_in(add_staff(world, role))
    assert response.status_code == 200, response.text
    return browser


def deliveries(html: str) -> list[str]:
    """Return the addresses of the deliveries on a page, oldest first."""
    return sorted(one for one in links(html) if re.fullmatch("/console/deliveries/[0-9a-f-]{36}", one))


def csrf_token(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]{64})"', html)
    assert found is not None
    return found[1]


def links(html: str) -> set[str]:
    """Return the addresses of a page's links within the console, without their parameters."""
    found = re.findall(r'href="([^"]+)"', html)
    return {urlsplit(one.replace("&amp;", "&")).path for one in found if one.startswith("/console/")}


def actions(world: World) -> list[tuple[str, str, str]]:
    rows = json.loads(Shell(world.settings.database_url).ok("staff", "actions", "--json"))
    return [(row["username"], row["action"], row["subject"]) for row in rows if not row["action"].startswith("sign_in")]
