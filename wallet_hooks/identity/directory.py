"""The brands and providers that callbacks are checked against, cached for a second."""

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from wallet_hooks.database import DATABASE_ERRORS, read_with_retries, reading
from wallet_hooks.errors import TryAgainError
from wallet_hooks.identity.days import first_instant
from wallet_hooks.identity.models import Brand, Provider

_FIRST_WAIT = 2.0  # seconds
_RETRY_AFTER = 0.1  # seconds
_LAST_INSTANT = datetime.max.replace(tzinfo=UTC)
CORRECTIONS = ("debt", "refuse")
_ONE_DAY = timedelta(days=1)


class BrandFacts(NamedTuple):
    """A brand's configuration.

    `day_start` is the local time at which the accounting day begins, counted from midnight. `corrections` is what
    happens when a correction takes back more than the balance (debt or refuse). `policy` is JSON (see `policy.py`).
    """

    id: int
    client: str
    currency: str
    timezone: ZoneInfo
    day_start: timedelta
    corrections: str
    policy: str = "{}"

    def booking_day(self, instant: datetime) -> date:
        """Return the accounting day of an instant: the latest day whose `day_begins` is not after it."""
        day = (instant.astimezone(self.timezone).replace(tzinfo=None) - self.day_start).date()
        # After clocks were set back, the local time can be before the start of the day that has already begun.
        while instant >= self.day_begins(day + _ONE_DAY):
            day += _ONE_DAY
        return day

    def day_begins(self, day: date) -> datetime:
        """Return the instant (UTC) at which an accounting day begins and the previous one ends."""
        return first_instant(self.timezone, datetime.combine(day, time()) + self.day_start)

    def midnight(self, day: date) -> datetime:
        """Return the instant (UTC) at which a civil day begins in the brand's time zone."""
        return first_instant(self.timezone, datetime.combine(day, time()))

    def end_of(self, day: date) -> datetime:
        """Return the instant (UTC) at which a civil day ends in the brand's time zone.

        `date.max`, which often stands for "never", ends at the last instant that a datetime can represent.
        """
        return _LAST_INSTANT if day == date.max else self.midnight(day + timedelta(days=1))


class ProviderFacts(NamedTuple):
    """A provider's game for a brand: authentication method, secrets, and allowed source networks (empty: any)."""

    game: str
    client: str
    auth: str
    secrets: tuple[str, ...]
    allow: tuple[IPv4Network | IPv6Network, ...]


@dataclass(frozen=True, slots=True)
class Directory:
    """All brands by client, and all providers."""

    brands: Mapping[str, BrandFacts]
    providers: tuple[ProviderFacts, ...]


def read_directory(engine: Engine) -> Directory:
    """Read all brands and providers, in one statement: the database may be far away."""
    with reading(engine) as session:
        rows = session.execute(select(Brand, Provider).outerjoin(Provider, Provider.brand_id == Brand.id)).all()
    brands = {brand.client: brand for brand, _ in rows}
    return Directory(
        brands={client: brand_facts(brand) for client, brand in brands.items()},
        providers=tuple(
            ProviderFacts(
                game=provider.game,
                client=brand.client,
                auth=provider.auth,
                secrets=tuple(provider.secrets),
                allow=tuple(ip_network(network) for network in provider.allow),
            )
            for brand, provider in rows
            if provider is not None
        ),
    )


def brand_facts(brand: Brand) -> BrandFacts:
    start = time.fromisoformat(brand.day_start)
    return BrandFacts(
        id=brand.id,
        client=brand.client,
        currency=brand.currency,
        timezone=ZoneInfo(brand.timezone),
        day_start=timedelta(hours=start.hour, minutes=start.minute),
        corrections=brand.policy.get("corrections", "debt"),
        policy=json.dumps(brand.policy, sort_keys=True),
    )


def brand_by_id(session: Session, brand_id: int) -> BrandFacts:
    """Return the configuration of an existing brand, read in the session's transaction."""
    return brand_facts(session.get_one(Brand, brand_id))


class DirectoryCache:
    """A cached directory: it changes rarely, and every callback needs it.

    It is at most `lifetime` seconds old, or as long as it takes to read it again while others use it.
    """

    def __init__(self, engine: Engine, monotonic: Callable[[], float], *, lifetime: float = 1.0) -> None:
        self._engine = engine
        self._monotonic = monotonic
        self._lifetime = lifetime
        self._lock = threading.Lock()
        self._read_at = self._failed_at = float("-inf")
        self._directory: Directory | None = None

    def get(self) -> Directory:
        """Return the directory. Raises the database's error, or TryAgainError, if it is stale and cannot be read.

        One caller refreshes a stale directory, the others use the old one meanwhile: they must not wait for a database
        that does not respond. They wait for the first read, but not for long.
        """
        wait = 0 if self._directory is not None else _FIRST_WAIT
        if self._age() > self._lifetime and self._lock.acquire(timeout=wait):
            try:
                if self._age() > self._lifetime:
                    self._read()
            finally:
                self._lock.release()
        if self._directory is None:
            raise TryAgainError("the brands and providers have not been read yet")
        return self._directory

    def refresh(self) -> None:
        """Read the directory again, unless another thread does. A database error is left to the next `get`."""
        if self._lock.acquire(blocking=False):
            try:
                with suppress(*DATABASE_ERRORS, TryAgainError):
                    self._read()
            finally:
                self._lock.release()

    def _read(self) -> None:
        """Read the directory, but not at once again after an error: each of the calls that wait would repeat it."""
        now = self._monotonic()
        if now - self._failed_at < _RETRY_AFTER:
            raise TryAgainError("the brands and providers could not be read")
        try:
            self._directory = read_with_retries(lambda: read_directory(self._engine))
        except DATABASE_ERRORS:
            self._failed_at = self._monotonic()
            raise
        self._read_at = now

    def _age(self) -> float:
        return self._monotonic() - self._read_at
