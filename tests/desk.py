"""Test data for the customers' API: groups, their managers and members, and API tokens."""

import json
from datetime import timedelta
from typing import Any

import simplejson

from tests.world import JsonReply, World
from wallet_hooks import clock
from wallet_hooks.accounts_api.applications import create_application, create_versions
from wallet_hooks.accounts_api.vendors import make_vendor
from wallet_hooks.customers import groups
from wallet_hooks.customers.models import Group
from wallet_hooks.customers.usernames import change_username, folded
from wallet_hooks.database import brand_engine, writing
from wallet_hooks.identity import api_tokens, login_sessions
from wallet_hooks.identity.brand_engines import engine_of_username
from wallet_hooks.identity.service import brand_by_client

PASSWORD = "passw0rd1"


class Desk:
    """Customers by username: `boss` manages group desk of acme with `ann` and `bob`; `rival` manages another group of
    acme with `eve`; `freja` belongs to another brand. Logins are created without passwords, because hashing is slow.
    """

    group, other_group, foreign_group = 1, 2, 3

    def __init__(self, world: World) -> None:
        self.world = world

    def create(self) -> None:
        """Create all customers and groups."""
        world = self.world
        world.brand("nordbet", id_=1008, currency="SEK")
        self._customers("acme", boss="1", bob="8", rival="20", eve="21")
        self._customers("nordbet", freja="7")
        self._rename("acme", "acme7", "ann")
        self._group(1007, "desk", "boss", ["boss", "ann", "bob"])
        self._group(1007, "other", "rival", ["eve"])
        self._group(1008, "desk", "freja", [])

    def _customers(self, client: str, **uids: str) -> None:
        for username, uid in uids.items():
            self.world.customer(uid, client=client, currency="EUR" if client == "acme" else "SEK")
            self._rename(client, f"{client}{uid}", username)

    def _rename(self, client: str, before: str, username: str) -> None:
        with writing(self.world.of(client)) as session:
            customer = groups.customer_by_username(session, before)
            customer.username = username
            change_username(session, customer, username)

    def _group(self, brand_id: int, name: str, manager: str, members: list[str]) -> None:
        with writing(brand_engine(self.world.shared, brand_id)) as session:
            managers = [groups.customer_by_username(session, manager)]
            group: Group = groups.create_group(
                session, brand_id=brand_id, name=name, managers=managers, now=clock.now()
            )
            for username in members:
                groups.customer_by_username(session, username).group_id = group.id

    def token(self, username: str) -> str:
        engine = engine_of_username(self.world.shared, folded(username))
        assert engine is not None
        with writing(engine) as session:
            customer = groups.customer_by_username(session, username)
            idle = self.world.settings.session_idle
            return login_sessions.start(
                session, customer_id=customer.id, source="", now=clock.now(), idle=timedelta(seconds=idle)
            )

    def headers_by_security(self) -> dict[tuple[str, ...], dict[str, str]]:
        """Return valid credentials by the security schemes that the OpenAPI document has for an operation."""
        bearers = {role: {"Authorization": f"Bearer {self.api_token(role)}"} for role in ("cashier", "finance")}
        return {
            ("session",): {"Session": self.token("boss")},
            ("session", "api-token"): bearers["cashier"],
            ("api-token",): bearers["finance"],
            ("x-auth-token",): {"x-auth-token": self.token("ann")},
            **self._account_api_headers(),
        }

    def _account_api_headers(self) -> dict[tuple[str, ...], dict[str, str]]:
        """Return ann's credentials for the account API; ann is also a vendor's owner, and a client of hers."""
        key = self.vendor("ann", "edges")
        session_headers, key_headers = {"X-Authentication": self.token("ann")}, {"X-Application": key}
        both = session_headers | key_headers
        return {
            ("x-authentication",): session_headers,
            ("x-application",): key_headers,
            ("x-authentication", "x-application"): both,
            ("x-authentication", "x-application", "access-token", "x-application"): both,
            ("x-authentication", "x-authentication", "x-application"): both,
        }

    def vendor(self, owner: str, name: str) -> str:
        """Create a vendor's application. Return its key."""
        engine = engine_of_username(self.world.shared, folded(owner))
        assert engine is not None
        with writing(engine) as session:
            owner_id = groups.customer_by_username(session, owner).id
            application = create_application(session, owner_id, name, limit=10, now=clock.now())
            make_vendor(session, name, redirect_url="https://vendor.example/", subscription_required=False)
            return create_versions(session, application)[0].key

    def api_token(self, role: str, client: str | None = None) -> str:
        with writing(self.world.engine) as session:
            brand_id = None if client is None else brand_by_client(session, client).id
            return api_tokens.create(session, name="test", role=role, brand_id=brand_id, now=clock.now())

    def call(self, who: str | None, method: str, path: str, body: Any = None, **kwargs: Any) -> JsonReply:
        """Make a call; `who` is a username (a new login), None (no credentials) or `token:…` (an API token).

        Numbers in the reply are exact decimals.
        """
        headers = kwargs.pop("headers", {})
        if who is not None and who.startswith("token:"):
            headers["Authorization"] = f"Bearer {who.removeprefix('token:')}"
        elif who is not None:
            headers["Session"] = self.token(who)
        if body is not None:
            kwargs |= {"data": body if isinstance(body, str) else json.dumps(body)}
            kwargs.setdefault("content_type", "application/json")
        response = self.world.client.open(path, method=method, headers=headers, **kwargs)
        return JsonReply(response.status_code, simplejson.loads(response.text, use_decimal=True))

    def ok(self, who: str, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        """Make a call that must succeed, and return the data of its envelope."""
        reply = self.call(who, method, path, body, **kwargs)
        assert (reply.status, reply.body["status"]) == (200, "ok"), reply
        return reply.body["data"]
