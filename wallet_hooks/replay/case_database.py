"""The database that cases run on: loads preconditions, and reads balances, limits and ledger state afterwards."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Select, event, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.betslips.service import store_messages
from wallet_hooks.customers.models import Customer
from wallet_hooks.customers.queries import balances_of_customers
from wallet_hooks.database import open_engine, reading, writing
from wallet_hooks.database.migrating import upgrade
from wallet_hooks.finance.verification import run_checks
from wallet_hooks.identity.directory import brand_facts
from wallet_hooks.identity.models import Brand, Provider
from wallet_hooks.identity.secrets import read_secret
from wallet_hooks.identity.service import add_brand, add_provider, brand_by_client, set_countries, set_policy
from wallet_hooks.ledger.models import Account, Entry
from wallet_hooks.limits import service as limits
from wallet_hooks.limits.models import LimitUsage
from wallet_hooks.replay.betslips import read_given_messages
from wallet_hooks.replay.preconditions import BRAND, add_customers, set_given_limit, set_given_rate
from wallet_hooks.replay.signing import new_secret
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.source import Address, read_address

_TIMEOUT = 30.0  # seconds; a slow machine must not fail a case
_FIRST_ID = 1007
_DEFAULT_BRAND: Mapping[str, Any] = {"client": BRAND}
_DEFAULT_PROVIDERS = ({"game": "betflex"},)
# What a callback may change. Deliveries and exceptions are left out: every repetition adds some.
_STATE_QUERIES: tuple[Select[*tuple[Any, ...]], ...] = (
    select(Account.name, Account.currency, Account.balance, Account.version).order_by(Account.name, Account.currency),
    select(func.count(), func.sum(Entry.amount), func.sum(func.abs(Entry.amount))),
    select(*Wager.__table__.columns).order_by(*Wager.__table__.primary_key),
    select(*LimitUsage.__table__.columns).order_by(*LimitUsage.__table__.primary_key),
)


class SigningKey(NamedTuple):
    """An authentication scheme (see `AUTHENTICATIONS`) and its secret."""

    auth: str
    secret: str


class GivenCountries(Countries):
    """Countries of addresses: those that cases set, and the GeoIP file of the settings for all others."""

    def __init__(self, file: str | None) -> None:
        super().__init__(file)
        self._given: dict[Address, str | None] = {}

    def set_country(self, text: str, country: str | None) -> None:
        """Set the country of an address (None: unknown). Raises ValueError for an invalid address."""
        address = read_address(text)
        if address is None:
            raise ValueError(f"countries.address: {text!r} is not an IP address")
        self._given[address] = country

    def clear(self) -> None:
        self._given.clear()

    def of(self, address: Address | None) -> str | None:
        return self._given[address] if address in self._given else super().of(address)


class CaseDatabase:
    """A database that cases run on, and the signing keys of its providers by brand and game."""

    def __init__(self, settings: Settings, *, durable: bool = True) -> None:
        self.settings = settings
        self.engine = open_engine(settings)
        self.callbacks = open_engine(settings, for_callbacks=True)
        self.countries = GivenCountries(settings.geoip_file)
        self.signing_keys: dict[tuple[str, str], SigningKey] = {}
        if not durable and self.engine.dialect.name == "sqlite":
            for engine in (self.engine, self.callbacks):
                event.listen(engine, "connect", _disable_fsync)

    def close(self) -> None:
        self.engine.dispose()
        self.callbacks.dispose()

    def prepare(self, given: Mapping[str, Any], *, now: datetime) -> None:
        """Load the preconditions that do not exist yet. Raises the errors of the packages for invalid values."""
        for located in given.get("countries", ()):
            self.countries.set_country(located["address"], located["country"])
        with writing(self.engine) as session:
            for brand in given.get("brands") or [_DEFAULT_BRAND]:
                self._add_brand(session, brand)
            for rate in given.get("rates", ()):
                set_given_rate(session, rate, now)
            new = add_customers(session, given.get("customers", ()), now)
            for limit in given.get("limits", ()):
                if (limit.get("brand", BRAND), str(limit["uid"])) in new:
                    set_given_limit(session, limit, now)

    def store_betslips(self, betslips: Iterable[Mapping[str, Any]], *, now: datetime) -> None:
        """Store betslip messages. Raises RefusedError for an invalid one, or for an unknown brand."""
        with writing(self.engine) as session:
            for number, betslip in enumerate(betslips):
                brand = brand_by_client(session, betslip.get("brand", BRAND))
                places = [(brand.id, betslip.get("game", "betflex"))]
                messages = [(message, f"{number:032}") for message in read_given_messages(betslip)]
                store_messages(session, messages, places, now=now)

    def _add_brand(self, session: Session, brand: Mapping[str, Any]) -> None:
        client = brand["client"]
        if session.scalar(select(Brand.id).where(Brand.client == client)) is None:
            taken = session.scalars(select(Brand.id)).all()
            add_brand(
                session,
                id_=max([_FIRST_ID - 1, *taken]) + 1,
                client=client,
                currency=brand.get("currency", "EUR"),
                timezone=brand.get("timezone", "Europe/London"),
                day_start=brand.get("day_start", "00:00"),
                corrections=brand.get("corrections", "debt"),
                policy=None,
            )
            set_policy(session, client=client, preset=brand.get("preset"), rules=brand.get("policy", {}))
            set_countries(
                session, client=client, allow=brand.get("allow_countries", ()), deny=brand.get("deny_countries", ())
            )
        for provider in brand.get("providers", _DEFAULT_PROVIDERS):
            self._add_provider(session, client, provider)

    def _add_provider(self, session: Session, client: str, given: Mapping[str, Any]) -> None:
        """Add a provider if it is missing. One that exists keeps its authentication and allow-list."""
        game = given["game"]
        query = select(Provider).join(Brand, Brand.id == Provider.brand_id)
        provider = session.scalar(query.where(Brand.client == client, Provider.game == game))
        if provider is None:
            auth = given.get("auth", "none")
            number = given.get("credentials", 0)
            reference = f"env:WALLET_HOOKS_REPLAY_{auth.upper().replace('-', '_')}_{number}"
            os.environ[reference.removeprefix("env:")] = new_secret(auth, number)
            secrets = () if auth == "none" else (reference,)
            allow = given.get("allow", ())
            provider = add_provider(session, game=game, client=client, auth=auth, secrets=secrets, allow=allow)
        found = (secret for reference in provider.secrets if (secret := read_secret(reference)) is not None)
        self.signing_keys[client, game] = SigningKey(provider.auth, next(found, ""))

    def balances(self, keys: Iterable[str]) -> dict[str, str]:
        """Return balances as decimal strings by the keys of a fixture (`uid:CUR` or `brand/uid:CUR`).

        Keys without such a customer and currency are left out.
        """
        found = {}
        with reading(self.engine) as session:
            for key in keys:
                customer_key, _, currency = key.rpartition(":")
                customer = _customer(session, customer_key)
                if customer is not None and customer.currency == currency:
                    balance = balances_of_customers(session, [customer])[customer.id].balance
                    found[key] = money.format_amount(balance, currency)
        return found

    def amounts_left(self, keys: Iterable[str], *, now: datetime) -> dict[str, dict[str, str]]:
        """Return what is left of limits in force, by the keys of a fixture (`uid:type:frame`).

        Amounts are decimal strings in the customer's currency. Keys without such a limit are left out.
        """
        found = {}
        with reading(self.engine) as session:
            for key in keys:
                customer_key, type_, frame = key.rsplit(":", 2)
                customer = _customer(session, customer_key)
                left = None if customer is None else _amount_left(session, customer, type_, frame, now)
                if customer is not None and left is not None:
                    found[key] = {"amount_left": money.format_amount(left, customer.currency)}
        return found

    def state(self) -> str:
        """Return a hash of everything that a callback may change."""
        digest = hashlib.sha256()
        with reading(self.engine) as session:
            for query in _STATE_QUERIES:
                for row in session.execute(query):
                    digest.update(repr(tuple(map(str, row))).encode())
        return digest.hexdigest()

    def ledger_violations(self) -> list[str]:
        """Return violations of the ledger invariants, as `wallet-hooks verify` reports them."""
        with reading(self.engine) as session:
            return [str(one) for found in run_checks(session, None) for one in found]


DatabaseFactory = Callable[[], AbstractContextManager[CaseDatabase]]


@contextmanager
def database_factory(
    settings: Settings, reset: Callable[[CaseDatabase], None], *, durable: bool
) -> Iterator[DatabaseFactory]:
    """Yield a factory of case databases, used one after the other; `reset` prepares the database for each.

    All share their engines: compiling statements anew would take most of the time of a small case.
    """
    opened = CaseDatabase(settings, durable=durable)

    @contextmanager
    def new_database() -> Iterator[CaseDatabase]:
        opened.signing_keys.clear()
        opened.countries.clear()
        reset(opened)
        yield opened

    try:
        yield new_database
    finally:
        opened.close()


@contextmanager
def temporary_template() -> Iterator[Path]:
    """Yield the SQLite file of an empty database, to be copied; its directory is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="wallet-hooks-replay-") as directory:
        template = Path(directory) / "template.db"
        _migrate(template)
        yield template


@contextmanager
def temporary_database_factory() -> Iterator[DatabaseFactory]:
    """Yield a factory of case databases in a temporary SQLite file. The migrations run once."""
    with (
        temporary_template() as template,
        copied_database_factory(template, template.with_name("case.db")) as new_database,
    ):
        yield new_database


@contextmanager
def copied_database_factory(template: Path, copy: Path) -> Iterator[DatabaseFactory]:
    """Yield a factory of case databases in the SQLite file `copy`, which is copied from `template` each time."""

    def reset(database: CaseDatabase) -> None:
        database.close()
        for leftover in (f"{copy}-wal", f"{copy}-shm"):
            Path(leftover).unlink(missing_ok=True)
        shutil.copyfile(template, copy)

    settings = Settings(database_url=f"sqlite:///{copy}", request_timeout=_TIMEOUT, lock_timeout=_TIMEOUT)
    with database_factory(settings, reset, durable=False) as new_database:
        yield new_database


def _migrate(template: Path) -> None:
    engine = open_engine(Settings(database_url=f"sqlite:///{template}"))
    upgrade(engine)
    with engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _disable_fsync(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous = OFF")  # a temporary database need not survive a power loss


def _customer(session: Session, customer_key: str) -> Customer | None:
    client, _, uid = customer_key.rpartition("/")
    query = select(Customer).join(Brand, Brand.id == Customer.brand_id)
    return session.scalar(query.where(Brand.client == (client or BRAND), Customer.uid == uid))


def _amount_left(session: Session, customer: Customer, type_: str, frame: str, now: datetime) -> int | None:
    brand = brand_facts(session.get_one(Brand, customer.brand_id))
    player = limits.player_of(customer, brand)
    usage = limits.usage_of(session, player, now=now)
    current = limits.CurrentLimits(session, player, now=now)
    left = (
        current.left_of(limit, usage)[1]
        for limit in current.in_force()
        if (limit.type, limit.frame) == (type_, frame) and limit.amount is not None
    )
    return min(left, default=None)
