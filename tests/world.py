"""The test environment: a database, an application on it, and helpers to create data and send callbacks."""

import json
import os
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, text

from wallet_hooks import clock, money
from wallet_hooks.app import create_app
from wallet_hooks.cashier.service import Movement, move
from wallet_hooks.customers.queries import balances_of_customers, customer_by_uid
from wallet_hooks.customers.service import NewCustomer, create_customers
from wallet_hooks.database import brand_engine, open_engine, reading, writing
from wallet_hooks.database.brands import engine_of_client, engines_of_brands
from wallet_hooks.exceptions import service as exceptions
from wallet_hooks.finance.verification import ALL_CHECKS
from wallet_hooks.identity.service import add_brand, add_provider, brand_by_client
from wallet_hooks.ledger.verify import Difference
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook import queries
from wallet_hooks.sportsbook.messages import BetKey

# Whether each brand has a schema in the tests' databases, which are then PostgreSQL's.
HAS_BRAND_SCHEMAS = os.environ.get("WALLET_HOOKS_BRAND_SCHEMAS") == "on"
ACME = 1007  # brand acme's id
Item = dict[str, Any]
OK = (200, {"status": "OK"})
# In seconds. A machine that stands still for two seconds, as a virtual one may, is no fault in most tests.
PATIENCE: Any = {"request_timeout": 30.0, "lock_timeout": 20.0, "statement_timeout": 20.0}


class JsonReply(NamedTuple):
    status: int
    body: Any


class World:
    """A database and its application.

    `engine` sees the tables of brand acme, and `shared` those of all brands; it is the same unless each brand has a
    schema. Amounts are decimal strings, ids are the provider's."""

    def __init__(self, database_url: str, *, brand_schemas: bool = HAS_BRAND_SCHEMAS) -> None:
        self.settings = Settings(database_url=database_url, log_level="error", brand_schemas=brand_schemas, **PATIENCE)
        self.shared: Engine = open_engine(self.settings)
        self.engine: Engine = brand_engine(self.shared, ACME)
        self._app: Flask | None = None
        self._starting = Lock()

    @property
    def app(self) -> Flask:
        with self._starting:
            if self._app is None:
                self._app = create_app(self.settings)
            return self._app

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    @property
    def database(self) -> str:
        """The name of the database, on PostgreSQL."""
        return self.settings.database_url.partition("?")[0].rpartition("/")[2]

    @property
    def callbacks_engine(self) -> Engine:
        engine = self.app.extensions["wallet_hooks"].callbacks
        assert isinstance(engine, Engine)
        return brand_engine(engine, ACME)

    def configure(self, **settings: Any) -> None:
        """Change settings and restart the application."""
        self.close_app()
        self.settings = Settings(**{**self.settings.__dict__, **settings})

    def close_app(self) -> None:
        if self._app is not None:
            for engine in self._app.extensions["wallet_hooks"]:
                engine.dispose()
            self._app = None
            money.set_stored_reader(dict)  # a disposed engine would connect again

    def close(self) -> None:
        self.close_app()
        self.shared.dispose()

    def brand(self, client: str = "acme", *, id_: int = ACME, currency: str = "EUR", **facts: Any) -> None:
        rules = {"timezone": "Europe/London", "policy": None} | facts
        with writing(self.shared) as session:
            add_brand(session, id_=id_, client=client, currency=currency, **rules)

    def provider(self, client: str = "acme", *, game: str = "betflex", auth: str = "none", **facts: Any) -> None:
        rules: dict[str, Any] = {"secrets": (), "allow": ()} | facts
        with writing(self.engine) as session:
            add_provider(session, game=game, client=client, auth=auth, **rules)
        self.close_app()

    def customer(
        self,
        uid: str = "7",
        *,
        balance: str = "100.00",
        client: str = "acme",
        currency: str = "EUR",
        credit_limit: str = "0",
        stake_limit: str | None = None,
        **facts: Any,
    ) -> None:
        new = NewCustomer(
            uid=uid,
            username="".join(sign for sign in f"{client}{uid}" if sign.isalnum()),
            currency=currency,
            balance=money.parse_amount(balance, currency),
            credit_limit=money.parse_limit(credit_limit, currency),
            max_stake_per_event=None if stake_limit is None else money.parse_limit(stake_limit, currency),
            **facts,
        )
        with writing(self.of(client)) as session:
            create_customers(session, brand_by_client(session, client), [new], now=clock.now())

    def of(self, client: str) -> Engine:
        """The engine that sees a brand's tables."""
        return engine_of_client(self.shared, client)

    def change_customer(self, uid: str = "7", *, client: str = "acme", **columns: Any) -> None:
        with writing(self.of(client)) as session:
            found, _ = customer_by_uid(session, client=client, uid=uid, lock=True)
            for name, value in columns.items():
                setattr(found, name, value)

    def deposit(self, amount: str, *, uid: str = "7", reference: str = "more", currency: str = "EUR") -> None:
        minor = money.parse_amount(amount, currency)
        with writing(self.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid=uid, lock=True)
            move(session, customer, Movement(kind="deposit", amount=minor, reference=reference), now=clock.now())

    def post(self, path: str, body: Any, **kwargs: Any) -> JsonReply:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        kwargs.setdefault("content_type", "application/json")
        response = self.client.post(path, data=data, **kwargs)
        return JsonReply(response.status_code, response.get_json(silent=True))

    def repeat(self, path: str, body: Any) -> JsonReply:
        """Send a callback again while it gets 503, as a provider does."""
        replies = (self.post(path, body) for _ in range(50))
        return next(reply for reply in replies if reply.status != 503)

    def place(self, *bets: Item) -> JsonReply:
        return self.post("/bets", {"bets": list(bets)})

    def settle(self, *pools: Item) -> JsonReply:
        return self.post("/winners", {"pools": list(pools)})

    def cancel(self, *pools: Item) -> JsonReply:
        return self.post("/bets/cancel", {"pools": list(pools)})

    def balance(self, uid: str = "7", *, client: str = "acme") -> str:
        with reading(self.of(client)) as session:
            found, _ = customer_by_uid(session, client=client, uid=uid)
            return money.format_amount(balances_of_customers(session, [found])[found.id].balance, found.currency)

    def open_stakes(self, uid: str = "7", *, client: str = "acme") -> str:
        with reading(self.of(client)) as session:
            found, _ = customer_by_uid(session, client=client, uid=uid)
            return money.format_amount(balances_of_customers(session, [found])[found.id].open_stakes, found.currency)

    def wager(self, uid: Any = 9, *, client: str = "acme", game: str = "betflex") -> dict[str, Any]:
        with reading(self.of(client)) as session:
            return queries.history(session, queries.wager_by_key(session, BetKey(game, client, str(uid))))

    def exceptions(self) -> list[dict[str, Any]]:
        with reading(self.engine) as session:
            return exceptions.list_exceptions(session, include_resolved=True)

    def count(self, table: str) -> int:
        """Return the number of rows of acme's table or, where it has none, of the shared one; of both, if both are."""
        engines = (
            [self.engine, self.shared]
            if self.settings.brand_schemas and table.startswith("delivery")
            else [self.engine]
        )
        total = 0
        for engine in engines:
            with reading(engine) as session:
                total += int(session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)
        return total

    def house_balance(self, name: str) -> int:
        """Return the sum of a house account's entries in minor units, debit positive."""
        query = text(
            "SELECT coalesce(sum(e.amount), 0) FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id"
            " WHERE a.name = :name"
        )
        with reading(self.engine) as session:
            return int(session.scalar(query, {"name": name}) or 0)

    def differences(self) -> list[Difference]:
        differences = []
        for _, engine in engines_of_brands(self.shared):
            with reading(engine) as session:
                differences += [difference for check in ALL_CHECKS for difference in check(session, None)]
        return differences


def bet(
    uid: Any = 9,
    amount: Any = "10.00",
    *,
    user: Any = 7,
    client: str = "acme",
    currency: str = "EUR",
    pool: Any = 501,
    game: str = "betflex",
    overdraw: Any = None,
) -> Item:
    """Return an element of `bets` in POST /bets."""
    slip = {"client": client, "currency": currency, "game": game, "uid": pool}
    return {
        "user": {"client": client, "uid": user, "ip": "203.0.113.9"},
        "pool": slip if overdraw is None else slip | {"overdraw": overdraw},
        "bet": {"uid": uid, "amount": amount},
    }


def result(
    uid: Any = 9,
    payout: Any = "25.00",
    *,
    user: Any = "7",
    client: str = "acme",
    currency: str = "EUR",
    outcome: str = "won",
    game: str = "betflex",
    stake: Any = "10.00",
    pool: Any = 501,
) -> Item:
    """Return an element of `pools` in POST /winners, with one bet."""
    settled = {"uid": uid, "currency": currency, "amount": stake, "odds": 2.5, "rake": 0, "payout": payout}
    settled |= {"base_payout": 25, "result": outcome, "extra": {"note": "kept"}}
    return {
        "pool": {"client": "fanteam", "game": game, "uid": pool, "currency": "EUR", "guaranteed": True},
        "bets": [{"user": {"client": client, "uid": user, "name": "Ann"}, "bet": settled}],
    }


def refund(
    uid: Any = 9, *, user: Any = "7", client: str = "acme", game: str = "betflex", amount: Any = "10.00"
) -> Item:
    """Return an element of `pools` in POST /bets/cancel, with one bet."""
    return {
        "pool": {"client": "fanteam", "status": "cancelled", "game": game, "uid": 501},
        "bets": [{"user": {"client": client, "uid": user, "name": "Ann"}, "bet": {"uid": uid, "amount": amount}}],
    }


def error(status: int, code: str, **more: Any) -> JsonReply:
    return JsonReply(status, {"error": code, **more})


def refused(code: str, decided: str) -> JsonReply:
    """Return the expected answer of /bets to several bets, when bet `decided` caused the refusal."""
    return JsonReply(402, {"error": code, "bets": [{"uid": decided, "error": code}]})


def failed(status: int, code: str, uids: Sequence[str] = ("9",)) -> JsonReply:
    """Return the expected answer of /winners and /bets/cancel when these bets fail with one code."""
    return JsonReply(status, {"error": code, "bets": [{"uid": uid, "error": code} for uid in uids]})
