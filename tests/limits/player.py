"""A player at the limits gateway."""

import itertools
import json
from datetime import timedelta
from typing import Any

from tests.world import Reply, World
from wallet_hooks import clock
from wallet_hooks.customers.play_sessions import remember_login
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.identity import sessions
from wallet_hooks.identity.service import set_policy

DAY = timedelta(hours=24)
UPDATED = (202, "Updated")
_numbers = itertools.count(1)


class Player:
    """Customer 7 of acme (brand 1007), who logs in; `policy` says what differs from the plain rules."""

    def __init__(self, world: World, uid: str = "7", /, **policy: Any) -> None:
        self.world = world
        if policy:
            self.rules(**policy)
        world.configure(session_idle=366 * 86_400)  # days pass in these tests
        with writing(world.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid=uid, lock=True)
            remember_login(session, customer, now=clock.now())
            self.token = sessions.start(
                session, customer_id=customer.id, source="", now=clock.now(), idle=timedelta(days=366)
            )

    def rules(self, *, preset: str | None = None, **rules: Any) -> None:
        with writing(self.world.engine) as session:
            set_policy(session, client="acme", preset=preset, rules=rules)
        self.world.close_app()

    def call(self, method: str, path: str, body: Any = None, *, brand: Any = 1007, token: str | None = None) -> Reply:
        path = path.replace("BRAND", str(brand))
        data = None if body is None else json.dumps(body)
        headers = {"x-auth-token": self.token if token is None else token}
        response = self.world.client.open(
            f"/gateway/limits/v1{path}", method=method, data=data, headers=headers, content_type="application/json"
        )
        return Reply(response.status_code, response.get_json(silent=True))

    def get(self) -> Any:
        reply = self.call("GET", "/player/limits/BRAND")
        assert reply.status == 200, reply
        return reply.body

    def calculate(self, uuid: str | None = None, **wanted: Any) -> Reply:
        uuid = uuid or f"u{next(_numbers)}"
        changes = {name: one if isinstance(one, str | dict) else change(*one) for name, one in wanted.items()}
        reply = self.call("POST", "/player/limits/calculate/BRAND", {"uuid": uuid, **changes})
        if reply.status == 200:
            reply.body["uuid"] = uuid
        return reply

    def update(self, quote: Any) -> Reply:
        return self.call("PUT", "/player/limits/BRAND", quote)

    def set(self, **wanted: Any) -> dict[str, Any]:
        """Calculate and update; the quote that was told."""
        quote = self.calculate(**wanted)
        assert quote.status == 200, quote
        assert self.update(quote.body) == (202, "Updated")
        told: dict[str, Any] = quote.body
        return told

    def swap(self, *ids: str) -> Reply:
        return self.call("PUT", "/player/swap/limits/BRAND", list(ids))

    def delete(self, *ids: str) -> Reply:
        return self.call("PUT", "/player/delete/limits/BRAND", {"row_id": list(ids)})

    def active(self, type_: str = "bet") -> dict[str, str]:
        """Amounts in force by frame."""
        return {one["time_frame"]: one["amount"] for one in self.get()["active"][type_]["all"]}


def change(frame: str, amount: str) -> dict[str, str]:
    return {"time_frame": frame, "new_amount": amount}


def gateway_error(code: str, status: int = 400) -> Any:
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


def pending_id(player: Player, type_: str = "bet") -> str:
    return str(player.get()["pending"][type_]["row_id"])
