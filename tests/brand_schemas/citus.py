"""Databases on a given Citus cluster, each on all its nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

Place = dict[str, Any]


@contextmanager
def database(coordinator: str, name: str) -> Iterator[str]:
    """Create a database on the coordinator, whose URL is given, and on its workers. Yields its URL, and drops it."""
    places = _places(coordinator)
    for place in places:
        _run(place, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        _run(place | {"dbname": name}, sql.SQL("CREATE EXTENSION citus"))
    first, *workers = places
    _run(first | {"dbname": name}, sql.SQL("SELECT citus_set_coordinator_host({host}, {port})").format(**_node(first)))
    for worker in workers:
        _run(first | {"dbname": name}, sql.SQL("SELECT citus_add_node({host}, {port})").format(**_node(worker)))
    try:
        yield f"postgresql://{first.get('user', 'postgres')}@{first['host']}:{first['port']}/{name}"
    finally:
        for place in places:
            _run(place, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _places(coordinator: str) -> list[Place]:
    """Return how to connect to the coordinator and to each worker."""
    own = {"port": "5432", **conninfo_to_dict(coordinator)}
    with psycopg.connect(coordinator) as connection:
        rows = connection.execute("SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 ORDER BY groupid")
        return [own, *(own | {"host": host, "port": str(port)} for host, port in rows)]


def _node(place: Place) -> dict[str, sql.Literal]:
    return {"host": sql.Literal(place["host"]), "port": sql.Literal(int(place["port"]))}


def _run(place: Place, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(make_conninfo(**place), autocommit=True) as connection:
        connection.execute(statement)
