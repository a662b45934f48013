"""A client of the limits gateway, with the helpers of its tests."""

import itertools
import json
from datetime import timedelta
from typing import Any

from tests.world import JsonReply, World
from wallet_hooks import clock
from wallet_hooks.customers.play_sessions import record_login
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity import login_sessions
from wallet_hooks.identity.service import set_policy

DAY = timedelta(hours=24)
UPDATED = (202, "Updated")
_numbers = itertools.count(1)


class GatewayPlayer:
    """A logged-in customer of acme (brand 1007), 7 by default. `policy` sets the brand's own rules."""

    def __init__(self, world: World, uid: str = "7", /, **policy: Any) -> None:
        self.world = world
        if policy:
            self.rules(**policy)
        world.configure(session_idle=366 * 86_400)  # these tests move the clock by days
        with writing(world.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid=uid, lock=True)
            record_login(session, customer, now=clock.now())
            self.token = login_sessions.start(
                session, customer_id=customer.id, source="", now=clock.now(), idle=timedelta(days=366)
            )

    def rules(self, *, preset: str | None = None, **rules: Any) -> None:
        with writing(self.world.engine) as session:
            set_policy(session, client="acme", preset=preset, rules=rules)
        self.world.close_app()

    def call(
        self, method: str, path: str, body: Any = None, *, brand: Any = 1007, token: str | None = None
    ) -> JsonReply:
        path = path.replace("BRAND", str(brand))
        data = None if body is None else json.dumps(body)
        headers = {"x-auth-token": self.token if token is None else token}
        response = self.world.client.open(
            f"/gateway/limits/v1{path}", method=method, data=data, headers=headers, content_type="application/json"
        )
        return JsonReply(response.status_code, response.get_json(silent=True))

    def get(self) -> Any:
        reply = self.call("GET", "/player/limits/BRAND")
        assert reply.status == 200, reply
        return reply.body

    def calculate(self, uuid: str | None = None, **changes: Any) -> JsonReply:
        uuid = uuid or f"u{next(_numbers)}"
        body = {name: one if isinstance(one, str | dict) else change(*one) for name, one in changes.items()}
        reply = self.call("POST", "/player/limits/calculate/BRAND", {"uuid": uuid, **body})
        if reply.status == 200:
            reply.body["uuid"] = uuid
        return reply

    def update(self, quote: Any) -> JsonReply:
        return self.call("PUT", "/player/limits/BRAND", quote)

    def set(self, **changes: Any) -> dict[str, Any]:
        """Calculate and update. Return the quote."""
        quote = self.calculate(**changes)
        assert quote.status == 200, quote
        assert self.update(quote.body) == (202, "Updated")
        body: dict[str, Any] = quote.body
        return body

    def swap(self, *ids: str) -> JsonReply:
        return self.call("PUT", "/player/swap/limits/BRAND", list(ids))

    def delete(self, *ids: str) -> JsonReply:
        return self.call("PUT", "/player/delete/limits/BRAND", {"row_id": list(ids)})

    def active(self, type_: str = "bet") -> dict[str, str]:
        """Return the amounts of the active limits, by frame."""
        return {one["time_frame"]: one["amount"] for one in self.get()["active"][type_]["all"]}


def change(frame: str, amount: str) -> dict[str, str]:
    return {"time_frame": frame, "new_amount": amount}


def gateway_error(code: str, status: int = 400) -> Any:
    """Return an object that equals every reply with this code and status in the gateway's error envelope."""

    class Refusal:
        def __eq__(self, reply: object) -> bool:
            return (
                isinstance(reply, tuple)
                and reply[0] == status
                and reply[1]["code"] == code
                and reply[1]["errMsg"].startswith("invalid input - ")
            )

        __hash__ = None  # type: ignore[assignment]

    return Refusal()


def pending_id(player: GatewayPlayer, type_: str = "bet") -> str:
    """Return the row id of the pending limit of a type."""
    return str(player.get()["pending"][type_]["row_id"])
