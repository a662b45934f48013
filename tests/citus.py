"""Databases on a given Citus cluster, each on all its nodes."""

import os
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

# The coordinator of a cluster, on which databases are made that have a schema for each brand.
COORDINATOR = os.environ.get("WALLET_HOOKS_TEST_CITUS_URL")

Place = dict[str, Any]


class Cluster:
    """A cluster, by its coordinator's URL, for several test processes: each has databases of its own."""

    def __init__(self, coordinator: str) -> None:
        own = {"port": "5432", **conninfo_to_dict(coordinator)}
        with psycopg.connect(coordinator) as connection:
            query = "SELECT nodename, nodeport FROM pg_dist_node WHERE groupid <> 0 ORDER BY groupid"
            workers = connection.execute(query).fetchall()
        self._places: list[Place] = [own, *(own | {"host": host, "port": str(port)} for host, port in workers)]
        self._created: set[str] = set()

    def url(self, database: str) -> str:
        """Return the value of WALLET_HOOKS_DATABASE_URL for a database."""
        first = self._places[0]
        return f"postgresql://{first.get('user', 'postgres')}@{first['host']}:{first['port']}/{_own(database)}"

    def create(self, database: str, *, template: str = "template1") -> None:
        """Create a database on each node: an empty one, or a copy of one that is connected to no more."""
        self._created.add(database)
        if template == "template1":
            with psycopg.connect(make_conninfo(**self._places[0])) as connection:
                connection.execute("SELECT pg_advisory_xact_lock(1)")  # nodes cannot be added to two databases at once
                self._create_empty(_own(database))
            return
        for place in self._places:
            _free(place, _own(template))
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            _run(place, statement.format(sql.Identifier(_own(database)), sql.Identifier(_own(template))))

    def drop(self, database: str) -> None:
        self._created.discard(database)
        for place in self._places:
            _free(place, _own(database))
            _run(place, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(_own(database))))

    def close(self) -> None:
        """Drop the databases that were created."""
        for database in list(self._created):
            self.drop(database)

    def _create_empty(self, name: str) -> None:
        for place in self._places:
            _run(place, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            _run(place | {"dbname": name}, sql.SQL("CREATE EXTENSION citus"))
        first, *workers = (place | {"dbname": name} for place in self._places)
        _run(first, sql.SQL("SELECT citus_set_coordinator_host({host}, {port})").format(**_node(first)))
        for worker in workers:
            _run(first, sql.SQL("SELECT citus_add_node({host}, {port})").format(**_node(worker)))


def _free(place: Place, name: str) -> None:
    """End the connections to a database, those of Citus too, and refuse new ones."""
    _run(place, sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
    others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = {}"
    _run(place, sql.SQL(others).format(sql.Literal(name)))


def _own(database: str) -> str:
    return f"{database}_{os.getpid()}"


def _node(place: Place) -> dict[str, sql.Literal]:
    return {"host": sql.Literal(place["host"]), "port": sql.Literal(int(place["port"]))}


def _run(place: Place, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(make_conninfo(**place), autocommit=True) as connection:
        connection.execute(statement)
