"""Database URLs: all forms are parsed, every part uses the same database and options, invalid URLs give one line."""

import csv
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tests import postgresql
from tests.service import GUNICORN
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks import clock
from wallet_hooks.database import check_databases, open_engine, reading
from wallet_hooks.database.faults import is_misconfigured
from wallet_hooks.database.streams import _conninfo
from wallet_hooks.database.urls import each_host, postgresql_parameters, sqlite_url
from wallet_hooks.settings import ConfigurationError, Settings

NAME = "one_url"
TWO = {"host": "h1,h2", "port": "5432,5433", "dbname": "db"}
CREDENTIALS = {"user": "u", "password": "p", "dbname": "db"}


@pytest.mark.parametrize(
    ("url", "parameters"),
    [
        ("postgresql://u:p@h/db", CREDENTIALS | {"host": "h"}),
        ("postgresql+psycopg://u:p@h:5433/db", CREDENTIALS | {"host": "h", "port": "5433"}),
        ("postgresql:///db?host=h1:5432&host=h2:5433", TWO),
        ("postgresql:///db?host=h1,h2&port=5432,5433", TWO),
        ("postgresql://u:p@/db?host=h1,h2", CREDENTIALS | {"host": "h1,h2", "port": ","}),
        ("postgresql://h1:5432,h2:5433/db", TWO),
        ("postgresql+psycopg://h1:5432,h2:5433/db", TWO),
        ("postgresql://u:p@h1,h2:5433/db", CREDENTIALS | {"host": "h1,h2", "port": ",5433"}),
        ("postgresql://[::1]:1,[::2]:2/db", {"host": "::1,::2", "port": "1,2", "dbname": "db"}),
        ("postgresql://u:p%2F%40@h/db", CREDENTIALS | {"host": "h", "password": "p/@"}),
        ("postgresql:///db?options=-csearch_path%3Dwh", {"dbname": "db", "options": "-csearch_path=wh"}),
        (
            "postgresql://h/db?sslmode=require&target_session_attrs=read-write&connect_timeout=9",
            {"host": "h", "dbname": "db", "sslmode": "require", "target_session_attrs": "read-write"}
            | {"connect_timeout": "9"},
        ),
    ],
)
def test_every_form_of_url_is_parsed(url: str, parameters: dict[str, str]) -> None:
    assert postgresql_parameters(url) == parameters


@pytest.mark.parametrize(
    ("parameters", "hosts"),
    [
        ({"host": "h1"}, []),
        ({}, []),
        (TWO, [{"host": "h1", "port": "5432"}, {"host": "h2", "port": "5433"}]),
        ({"host": "h1,h2", "port": "5433"}, [{"host": "h1", "port": "5433"}, {"host": "h2", "port": "5433"}]),
        ({"host": "h1,h2", "port": ","}, [{"host": "h1", "port": ""}, {"host": "h2", "port": ""}]),
        ({"hostaddr": "::1,::2"}, [{"hostaddr": "::1"}, {"hostaddr": "::2"}]),
    ],
)
def test_each_of_several_hosts_can_be_named_alone(parameters: dict[str, str], hosts: list[dict[str, str]]) -> None:
    assert list(each_host(parameters)) == hosts


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://h/db", "starts with sqlite:/// or postgresql://"),
        ("postgresql+asyncpg://h/db", "starts with sqlite:/// or postgresql://"),
        ("postgresql://h/db?colour=red", 'invalid connection option "colour"'),
        ("postgresql://h/db?prepare_threshold=5", 'invalid connection option "prepare_threshold"'),
        ("postgresql://h/db?sslmode=a&sslmode=b", "sslmode: given more than once"),
        ("postgresql:///db?host=h1:1&host=h2:x", "non-integer port"),
        ("postgresql:///db?host=h1,h2,h3&port=1,2", "number of hosts and ports don't match"),
        ("postgresql://h/db?connect_timeout=soon", "bad value for connect_timeout"),
        ("postgresql://u:se%zzcret@h1,h2/db", "not a database URL"),
        ("sqlite:///", "a file is required"),
        ("sqlite:///:memory:", "a file is required"),
        ("sqlite:///x.db?timeout=soon", "timeout: unknown parameter"),
    ],
)
def test_an_invalid_url_is_refused_before_connecting(url: str, message: str) -> None:
    for settings, name in (
        (Settings(database_url=url), "WALLET_HOOKS_DATABASE_URL"),
        (Settings(reporting_database_url=url), "WALLET_HOOKS_REPORTING_DATABASE_URL"),
    ):
        with pytest.raises(ConfigurationError) as refused:
            open_engine(settings, for_reports="REPORTING" in name)
        assert str(refused.value).startswith(f"{name}: ")
        assert message in str(refused.value)
        assert "cret" not in str(refused.value)


def test_sqlite_s_own_parameters_are_kept() -> None:
    assert sqlite_url("sqlite:///file:x.db?mode=ro&uri=true").query == {"mode": "ro", "uri": "true"}


@pytest.fixture(scope="module")
def standby() -> Iterator[postgresql.Server]:
    """Another server, read-only, with an empty database of the same name."""
    with postgresql.running(in_memory=True) as server:
        server.set("default_transaction_read_only", "on")
        yield server


@pytest.fixture
def primary(postgresql_server: postgresql.Server) -> Iterator[postgresql.Server]:
    """The server with the writable database, which has the same name on the standby."""
    postgresql_server.create(NAME)
    yield postgresql_server
    postgresql_server.drop(NAME)


def forms(first: str, second: str) -> list[str]:
    """Return URLs of two servers, given by their socket directories; the second is writable."""
    suffix = "target_session_attrs=read-write&connect_timeout=5&sslmode=disable"
    one, two = quote(first, safe=""), quote(second, safe="")
    return [
        f"postgresql://postgres@/{NAME}?host={first}:5432&host={second}:5432&{suffix}",
        f"postgresql+psycopg://postgres@/{NAME}?host={first},{second}&{suffix}",
        f"postgresql://postgres@{one}:5432,{two}:5432/{NAME}?{suffix}",
    ]


def set_up(shell: Shell) -> None:
    shell.ok("db", "upgrade")
    shell.ok("brand", "add", "--id", "1007", "--client", "acme", "--currency", "EUR", "--timezone", "Europe/London")
    shell.ok("provider", "add", "--game", "betflex", "--brand", "acme")
    who = ["--brand", "acme", "--uid", "7"]
    shell.ok("customer", "create", *who, "--username", "ann", "--currency", "EUR", "--role", "bet_placer")
    shell.ok("cashier", "deposit", *who, "--amount", "100.00", "--reference", "R1")


def check_all_parts(url: str, directory: Path) -> None:
    """Check that every part of the product reads the bet that was taken by a callback."""
    shell, world = Shell(url), World(url)
    set_up(shell)
    assert world.place(bet()) == OK
    assert world.client.get("/readyz").get_json() == {"status": "ok"}
    assert 'open_stakes_minor_units{currency="EUR"} 1000' in world.client.get("/metrics").text
    journal = directory / "journal.csv"
    shell.ok("export", "journal", "-o", str(journal))
    with journal.open(newline="") as file:
        assert {row["reference"] for row in csv.DictReader(file)} == {
            "betflex:acme:wager:9:stake",
            "cashier:acme:deposit:R1",
        }
    report, day = directory / "report.csv", clock.now().date().isoformat()
    report.write_text("brand,bet,currency,stake,payout,status\nacme,9,EUR,10.00,,open\n")
    reconciled = shell.run("reconcile", "--provider", "betflex", str(report), "--from", day, "--to", day)
    assert (reconciled.returncode, "no breaks" in reconciled.stderr) == (0, True), reconciled
    assert "rules hold" in shell.ok("verify")
    assert shell.ok("db", "upgrade") == "migrated\n"
    world.close()


@pytest.mark.parametrize("form", range(3))
def test_every_part_uses_the_writable_one_of_several_hosts(
    primary: postgresql.Server, standby: postgresql.Server, form: int, tmp_path: Path
) -> None:
    check_all_parts(forms(standby.socket_dir, primary.socket_dir)[form], tmp_path)


def test_an_unreachable_host_is_skipped(primary: postgresql.Server, tmp_path: Path) -> None:
    check_all_parts(forms("/nowhere", primary.socket_dir)[0], tmp_path)


def test_every_part_uses_the_options_of_the_url(primary: postgresql.Server, tmp_path: Path) -> None:
    engine = open_engine(Settings(database_url=primary.url(NAME)))
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA wh"))
    url = f"{primary.url(NAME)}&options=-csearch_path%3Dwh"
    check_all_parts(url, tmp_path)
    with engine.begin() as connection:
        schemas = connection.scalars(text("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'wager'")).all()
    engine.dispose()
    assert schemas == ["wh"]


def test_options_of_the_environment_are_used_if_the_url_has_none(
    primary: postgresql.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c search_path=elsewhere")
    for url, expected in (("", "elsewhere"), ("&options=-csearch_path%3Dwh", "wh")):
        for for_callbacks in (False, True):
            engine = open_engine(Settings(database_url=primary.url(NAME) + url), for_callbacks=for_callbacks)
            with reading(engine) as session:
                assert session.scalar(text("SHOW search_path")) == expected
                assert session.scalar(text("SHOW timezone")) == "UTC"
            engine.dispose()


def test_the_adbc_connection_has_the_session_s_parameters(primary: postgresql.Server) -> None:
    host = quote(primary.socket_dir, safe="/")
    more = "sslmode=disable&application_name=night&connect_timeout=7&target_session_attrs=read-write"
    settings = Settings(database_url=f"postgresql://postgres:p%40s@/{NAME}?host=/nowhere,{host}&{more}")
    engine = open_engine(settings)
    with reading(engine) as session:
        conninfo = _conninfo(session)
    engine.dispose()
    for part in (
        f"host={primary.socket_dir}",
        "port=5432",
        "password=p@s",
        "sslmode=disable",
        "application_name=night",
    ):
        assert part in conninfo
    assert "connect_timeout=7" in conninfo
    assert "/nowhere" not in conninfo


def wrong_urls(engine_name: str, server: postgresql.Server | None, directory: Path) -> list[str]:
    if server is None:
        (directory / "text.db").write_text("this is not a database, and longer than a header" * 10)
        return [f"sqlite:///{directory}/missing/x.db", f"sqlite:///{directory}", f"sqlite:///{directory}/text.db"]
    good = server.url("postgres")
    return [
        server.url("nosuch"),
        good.replace("postgres@", "nobody@"),
        "postgresql://nosuch.invalid/db",
        "postgresql://nosuch.invalid,other.invalid:1/db",
        "postgresql://127.0.0.1:99999/db",
        "postgresql://h:abc/db",
        "postgresql://h1,h2/db?port=1,2,3",
        f"{good}&sslmode=sometimes",
        f"{good}&target_session_attrs=best",
        f"{good}&options=-cnosuch%3D1",
        f"{good}&options=-cwork_mem%3Dmuch",
        f"{good}&service=nosuch",
    ]


@pytest.fixture
def server_or_none(engine_name: str, request: pytest.FixtureRequest) -> postgresql.Server | None:
    return None if engine_name == "sqlite" else request.getfixturevalue("postgresql_server")


def test_an_invalid_url_prints_one_line_and_exits_with_status_2(
    engine_name: str, server_or_none: postgresql.Server | None, tmp_path: Path
) -> None:
    for url in wrong_urls(engine_name, server_or_none, tmp_path):
        for command in (
            ["verify"],
            ["export", "journal", "-o", str(tmp_path / "j.csv")],
            ["db", "upgrade"],
            ["customer", "list"],
        ):
            ran = Shell(url).run(*command)
            assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (2, 1), (url, command, ran)
        with pytest.raises(ConfigurationError, match="WALLET_HOOKS_DATABASE_URL: "):
            check_databases(Settings(database_url=url))


def test_an_invalid_replica_url_names_its_setting(
    engine_name: str, server_or_none: postgresql.Server | None, database_url: str, tmp_path: Path
) -> None:
    export = ["export", "journal", "-o", str(tmp_path / "journal.csv")]
    for url in wrong_urls(engine_name, server_or_none, tmp_path):
        with pytest.raises(ConfigurationError, match="WALLET_HOOKS_REPORTING_DATABASE_URL: "):
            check_databases(Settings(database_url=database_url, reporting_database_url=url))
        ran = Shell(database_url).run(*export, WALLET_HOOKS_REPORTING_DATABASE_URL=url)
        assert (ran.returncode, len(ran.stderr.strip().splitlines())) == (2, 1), (url, ran)


def test_an_unreachable_database_is_not_a_configuration_error(postgresql_server: postgresql.Server) -> None:
    unreachable = ["postgresql://127.0.0.1:1/db", "postgresql:///db?host=/nowhere"]
    unreachable += [f"{postgresql_server.url('nosuch').replace('host=', 'host=/nowhere:1&host=')}:5432"]
    for url in unreachable:
        check_databases(Settings(database_url=url))
        ran = Shell(url).run("verify")
        assert (ran.returncode, ran.stderr.startswith("wallet-hooks: database (lost): ")) == (1, True), (url, ran)


def test_an_unreachable_name_server_is_not_a_configuration_error() -> None:

    for reason, expected in (
        ("[Errno -2] Name or service not known", True),
        ("[Errno -3] Temporary failure in", False),
    ):
        error = psycopg.OperationalError(f"failed to resolve host 'h': {reason} name resolution")
        assert is_misconfigured(OperationalError("", {}, error)) is expected


def test_a_service_with_an_invalid_url_does_not_start(
    engine_name: str, server_or_none: postgresql.Server | None, tmp_path: Path
) -> None:
    url = wrong_urls(engine_name, server_or_none, tmp_path)[0]
    environment = os.environ | {"WALLET_HOOKS_DATABASE_URL": url, "WALLET_HOOKS_LISTEN": "127.0.0.1:1"}
    command = [GUNICORN, "-c", "python:wallet_hooks.server", "wsgi:app"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode != 0
    assert ran.stdout == ""
    assert ran.stderr.startswith("wallet-hooks: WALLET_HOOKS_DATABASE_URL: ")
    assert len(ran.stderr.splitlines()) == 1
