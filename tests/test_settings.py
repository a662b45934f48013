"""Invalid settings stop commands and the service with one line, which holds no secret."""

import subprocess
from pathlib import Path

import pytest

from tests.service import GUNICORN
from tests.test_commands import Shell


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://x"),
        ("DATABASE_URL", "postgresql://h:abc/db"),
        ("DATABASE_URL", "postgresql://wallet:marked@marked@localhost/db"),
        ("DATABASE_URL", "postgresql://wallet:marked?a=b@marked@localhost/db"),
        ("LISTEN", "8000"),
        ("BODY_CAP", "many"),
        ("CURRENCIES", "BTC"),
        ("CURRENCIES", "EUR=5"),
        ("CURRENCIES", "BTC=8,BTC=6"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_an_invalid_setting_stops_the_start_with_one_line(name: str, value: str, tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path / 'x.db'}")
    ran = shell.run("db", "upgrade", **{f"WALLET_HOOKS_{name}": value})
    assert ran.returncode in (1, 2)
    assert len(ran.stderr.strip().splitlines()) == 1
    assert "marked" not in ran.stderr
    server = subprocess.run(
        [GUNICORN, "-c", "python:wallet_hooks.server", "--check-config", "wsgi:app"],
        env=shell.environment | {f"WALLET_HOOKS_{name}": value}, capture_output=True, text=True,
    )  # fmt: skip
    assert server.returncode != 0
    assert "marked" not in server.stderr


@pytest.mark.parametrize("variable", ["WEB_CONCURRENCY=0", "PROMETHEUS_MULTIPROC_DIR=/nowhere"])
def test_an_invalid_variable_of_the_server_stops_the_start_with_one_line(variable: str, tmp_path: Path) -> None:
    name, _, value = variable.partition("=")
    environment = Shell(f"sqlite:///{tmp_path / 'x.db'}").environment | {name: value}
    command = [GUNICORN, "-c", "python:wallet_hooks.server", "wsgi:app"]
    server = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (server.returncode, server.stderr.count("\n")) == (2, 1), server.stderr
    assert server.stderr.startswith(f"wallet-hooks: {name} is ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ACCOUNT_CODES_FILE", "/nowhere.json"),
        ("CURRENCIES", "EUR=5"),
        ("GEOIP_FILE", "/nowhere.mmdb"),
        ("CONSOLE_DIRECTORY", "/etc/passwd"),
        ("CONSOLE_DIRECTORY", "/proc/exports"),
    ],
)
def test_invalid_settings_stop_the_service_without_a_traceback(name: str, value: str, tmp_path: Path) -> None:
    shell = Shell(f"sqlite:///{tmp_path / 'x.db'}")
    environment = shell.environment | {f"WALLET_HOOKS_{name}": value}
    command = [GUNICORN, "-c", "python:wallet_hooks.server", "--bind", "127.0.0.1:0", "wsgi:app"]
    server = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (server.returncode, server.stderr.count("\n")) == (2, 1), server.stderr
    assert f"wallet-hooks: WALLET_HOOKS_{name}: " in server.stderr
    assert "Traceback" not in server.stderr
