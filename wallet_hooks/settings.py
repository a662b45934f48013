"""Reads the settings `WALLET_HOOKS_*` from the environment into a frozen object, and validates them at start."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, NamedTuple, Self

from environs import Env, EnvError, ValidationError
from marshmallow.validate import OneOf, Range

from wallet_hooks.money import CURRENCY_CODE, MAX_DECIMALS

_ADDRESS = re.compile(r"(?P<host>[^\s:]+|\[[0-9a-fA-F:]+\]):(?P<port>\d{1,5})")
_CURRENCY = re.compile(rf"(?P<code>{CURRENCY_CODE})=(?P<decimals>[0-{MAX_DECIMALS}])", re.ASCII)
DATABASES = ("sqlite:///", "postgresql://", "postgresql+psycopg://")
WRONG_SCHEME = "a database URL starts with sqlite:/// or postgresql://"

# Seconds for the network, added to PostgreSQL's own time-outs.
NETWORK_SECONDS = 1.0


class TimeOuts(NamedTuple):
    """Seconds that PostgreSQL may wait for a lock, and take for a statement."""

    lock: float
    statement: float

    @property
    def answer(self) -> float:
        """Seconds in which PostgreSQL must have answered, however far away it is."""
        return self.lock + self.statement + NETWORK_SECONDS


class ConfigurationError(Exception):
    """A setting is invalid or missing; the message is one line for the operator."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings with their defaults. Times are in seconds, sizes in bytes; docs/operations.md explains each."""

    database_url: str = "sqlite:///wallet_hooks.db"
    reporting_database_url: str | None = None
    migration_database_url: str | None = None
    brand_schemas: bool = False
    listen: str = "127.0.0.1:8000"
    proxy_hops: int = 0
    body_cap: int = 1024 * 1024
    queue_size: int = 512
    request_timeout: float = 0.8
    lock_timeout: float = 0.3
    statement_timeout: float = 0.5
    prepared_statements: bool = True
    retention_days: int = 400
    session_idle: float = 86_400
    console_idle: float = 1800
    console_directory: str | None = None
    jwt_leeway: float = 30
    geoip_file: str | None = None
    account_codes_file: str | None = None
    env_tags: tuple[str, ...] = ()
    currencies: dict[str, int] = field(default_factory=dict)
    betslip_days: int = 30
    streams: int = 1000
    rates_max_age_days: int = 4
    accounts_applications: int = 10
    accounts_batch_cap: int = 50
    accounts_code_lifetime: int = 600
    accounts_token_lifetime: int = 43_200
    accounts_logins_per_second: int = 20
    accounts_operations_per_second: int = 200
    accounts_timeout: float = 5
    log_level: str = "info"
    pin_workers: bool = True
    debug: bool = False
    test_clock: bool = False

    @property
    def login_idle(self) -> timedelta:
        """How long a customer's login session may be unused."""
        return timedelta(seconds=self.session_idle)

    @property
    def callback_time_outs(self) -> TimeOuts:
        """The time-outs of a callback's locks, statements and answer."""
        return TimeOuts(self.lock_timeout, self.statement_timeout)

    @property
    def call_time_outs(self) -> TimeOuts:
        """The time-outs of a call under /v1 or of the limits gateway."""
        return TimeOuts(2.0, 2.0)

    @property
    def message_time_outs(self) -> TimeOuts:
        """The time-outs of an array of betslip messages."""
        return TimeOuts(0.7, 1.0)

    @property
    def account_time_outs(self) -> TimeOuts:
        """The time-outs of the account API."""
        return TimeOuts(self.accounts_timeout, self.accounts_timeout)

    @property
    def page_time_outs(self) -> TimeOuts:
        """The time-outs of a page of the console, whose figures may be over all rows of a period."""
        return TimeOuts(30.0, 30.0)

    @classmethod
    def from_env(cls) -> Self:
        """Return the environment's settings. Raises ConfigurationError: one line that names every invalid setting."""
        env = Env(eager=False, prefix="WALLET_HOOKS_")
        values: dict[str, Any] = {
            "database_url": env.str("DATABASE_URL", cls.database_url, validate=_is_database_url),
            "reporting_database_url": env.str("REPORTING_DATABASE_URL", None, validate=_is_database_url),
            "migration_database_url": env.str("MIGRATION_DATABASE_URL", None, validate=_is_database_url),
            "brand_schemas": env.bool("BRAND_SCHEMAS", cls.brand_schemas),
            "listen": env.str("LISTEN", cls.listen, validate=_is_listen),
            "proxy_hops": env.int("PROXY_HOPS", cls.proxy_hops, validate=Range(0, 10)),
            "body_cap": env.int("BODY_CAP", cls.body_cap, validate=Range(1024, 64 * 1024 * 1024)),
            "queue_size": env.int("QUEUE_SIZE", cls.queue_size, validate=Range(1, 100_000)),
            "request_timeout": env.float("REQUEST_TIMEOUT", cls.request_timeout, validate=Range(0.05, 60)),
            "lock_timeout": env.float("LOCK_TIMEOUT", cls.lock_timeout, validate=Range(0.01, 60)),
            "statement_timeout": env.float("STATEMENT_TIMEOUT", cls.statement_timeout, validate=Range(0.01, 60)),
            "prepared_statements": env.bool("PREPARED_STATEMENTS", cls.prepared_statements),
            "retention_days": env.int("RETENTION_DAYS", cls.retention_days, validate=Range(1, 36_500)),
            "session_idle": env.float("SESSION_IDLE", cls.session_idle, validate=Range(1, 31_536_000)),
            "console_idle": env.float("CONSOLE_IDLE", cls.console_idle, validate=Range(60, 43_200)),
            "console_directory": env.str("CONSOLE_DIRECTORY", None),
            "jwt_leeway": env.float("JWT_LEEWAY", cls.jwt_leeway, validate=Range(0, 120)),
            "geoip_file": env.str("GEOIP_FILE", None),
            "account_codes_file": env.str("ACCOUNT_CODES_FILE", None),
            "env_tags": tuple(env.list("ENV_TAGS", [])),
            "currencies": _currencies(env.list("CURRENCIES", [], validate=_are_currencies)),
            "betslip_days": env.int("BETSLIP_DAYS", cls.betslip_days, validate=Range(1, 36_500)),
            "streams": env.int("STREAMS", cls.streams, validate=Range(0, 100_000)),
            "rates_max_age_days": env.int("RATES_MAX_AGE_DAYS", cls.rates_max_age_days, validate=Range(0, 3650)),
            **_account_settings(env, cls),
            "pin_workers": env.bool("PIN_WORKERS", cls.pin_workers),
            "debug": env.bool("DEBUG", cls.debug),
            "test_clock": env.bool("TEST_CLOCK", cls.test_clock),
            "log_level": env.str("LOG_LEVEL", cls.log_level, validate=OneOf(["debug", "info", "warning", "error"])),
        }
        try:
            env.seal()
        except EnvError as error:
            raise ConfigurationError(" ".join(str(error).split())) from None
        if values["test_clock"] and not values["debug"]:
            raise ConfigurationError("WALLET_HOOKS_TEST_CLOCK lets callers set the clock: it needs WALLET_HOOKS_DEBUG")
        return cls(**values)


def _account_settings(env: Env, defaults: type[Settings]) -> dict[str, Any]:
    """Return the account API's settings (docs/protocols/accounts.md)."""
    counts = {
        "accounts_applications": Range(1, 1000),
        "accounts_batch_cap": Range(1, 1000),
        "accounts_code_lifetime": Range(1, 86_400),
        "accounts_token_lifetime": Range(1, 31_536_000),
        "accounts_logins_per_second": Range(1, 1_000_000),
        "accounts_operations_per_second": Range(1, 1_000_000),
    }
    values: dict[str, Any] = {
        name: env.int(name.upper(), getattr(defaults, name), validate=bounds) for name, bounds in counts.items()
    }
    timeout = env.float("ACCOUNTS_TIMEOUT", defaults.accounts_timeout, validate=Range(0.05, 60))
    return {**values, "accounts_timeout": timeout}


def _is_database_url(url: str | None) -> None:
    if url is not None and not url.startswith(DATABASES):
        raise ValidationError(WRONG_SCHEME)


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `host:port`, the host without brackets. Raises ConfigurationError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not 0 < int(match["port"]) < 65_536:
        raise ConfigurationError("expected host:port, such as 127.0.0.1:8000")
    return match["host"].strip("[]"), int(match["port"])


def _is_listen(listen: str) -> None:
    try:
        parse_address(listen)
    except ConfigurationError as error:
        raise ValidationError(str(error)) from None


def _are_currencies(texts: list[str]) -> None:
    if not all(_CURRENCY.fullmatch(text) for text in texts):
        raise ValidationError(f"expected CODE=decimals (0 to {MAX_DECIMALS}), such as BTC=8, separated by commas")
    if len({text.partition("=")[0] for text in texts}) < len(texts):
        raise ValidationError("a currency is given more than once")


def _currencies(texts: list[str] | None) -> dict[str, int]:
    pairs = (_CURRENCY.fullmatch(text) for text in texts or ())
    return {pair["code"]: int(pair["decimals"]) for pair in pairs if pair}
