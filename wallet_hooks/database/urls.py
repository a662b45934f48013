"""Parses database URLs, in SQLAlchemy's or libpq's form, into connection parameters.

All PostgreSQL drivers take libpq's parameters, so every form of URL is parsed here only: `postgresql://h/db`, several
hosts in SQLAlchemy's form (`postgresql:///db?host=h1:5432&host=h2:5433` or
`?host=h1,h2&port=5432,5433`) or in libpq's (`postgresql://h1:5432,h2:5433/db`).
"""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import ArgumentError

from wallet_hooks.settings import DATABASES, WRONG_SCHEME, ConfigurationError

# What follows the @ of a password would be taken for the host, which errors name.
_MISPLACED_AT = "not a database URL: an @ in a name or the password is written %40"
_SCHEMES = tuple(scheme for scheme in DATABASES if scheme.startswith("postgresql"))


def postgresql_parameters(url: str) -> dict[str, str]:
    """Return the libpq parameters of a URL. Raises ConfigurationError if it is invalid or has an unknown parameter.

    Does not connect: some values are checked only by the first connection.
    """
    if not url.startswith(_SCHEMES):
        raise ConfigurationError(WRONG_SCHEME)
    if url.partition("?")[0].count("@") > 1:
        raise ConfigurationError(_MISPLACED_AT)
    try:
        parameters = _in_sqlalchemy_form(url) or _in_libpq_form(url)
        repeated = [name for name, value in parameters.items() if isinstance(value, tuple)]
        if repeated:
            raise ConfigurationError(f"{', '.join(repeated)}: given more than once")
        make_conninfo(**parameters)
        timeout_from_conninfo(parameters)
    except (ArgumentError, ValueError, psycopg.ProgrammingError) as error:
        raise ConfigurationError(f"not a database URL: {' '.join(str(error).split())}") from None
    return {name: str(value) for name, value in parameters.items()}


def each_host(parameters: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """Yield the libpq parameters that name each of several hosts alone; none where there is only one."""
    places = {name: str(parameters[name]).split(",") for name in ("host", "hostaddr", "port") if parameters.get(name)}
    count = max(map(len, places.values()), default=0)
    for number in range(count if count > 1 else 0):
        # One port may stand for all hosts.
        yield {name: values[number if len(values) > 1 else 0] for name, values in places.items()}


def _in_sqlalchemy_form(url: str) -> dict[str, Any] | None:
    """Return the parameters of a URL, or None if its hosts are in libpq's form."""
    try:
        parsed = make_url(url)
    except ValueError:  # an invalid port: `5432,h2:5433`
        return None
    if "@" in (parsed.host or ""):
        raise ConfigurationError(_MISPLACED_AT)
    if "," in (parsed.host or ""):
        return None
    _, parameters = cast("Any", PGDialect_psycopg)().create_connect_args(parsed)
    return dict(parameters)


def _in_libpq_form(url: str) -> dict[str, Any]:
    try:
        return dict(conninfo_to_dict(f"postgresql://{url.partition('://')[2]}"))
    except psycopg.ProgrammingError:  # its message quotes the URL with the password
        raise ConfigurationError("not a database URL") from None


def sqlite_url(url: str) -> URL:
    """Return the URL of an SQLite file. Raises ConfigurationError if it names no file or has an unknown parameter."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("not a database URL") from None
    if parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "a file is required (sqlite:///path); an in-memory database would be separate for each connection"
        )
    if parsed.query and "uri" not in parsed.query:
        raise ConfigurationError(f"{', '.join(parsed.query)}: unknown parameter; SQLite's own need uri=true")
    return parsed
