"""Every command of the README runs as it is written."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.service import served
from wallet_hooks.cli import cli

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def block(containing: str) -> str:
    found: str = next(text for text in BLOCKS if containing in text)
    return found.replace(".venv/bin/", f"{Path(sys.executable).parent}/")


def shell(script: str, environment: dict[str, str]) -> str:
    ran = subprocess.run(["bash", "-euc", script], env=os.environ | environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.slow
def test_the_tour_goes_as_it_is_told(database_url: str, tmp_path: Path) -> None:
    environment = {"WALLET_HOOKS_DATABASE_URL": database_url}
    binaries = Path(sys.executable).parent
    shell(f"{binaries}/wallet-hooks db upgrade && {binaries}/wallet-hooks demo --if-empty", environment)
    with served(database_url, tmp_path) as (url, _):
        told = shell(block("curl").replace("http://127.0.0.1:8000", url), environment)
        customers = block("credit_limit_comment").replace("http://127.0.0.1:8000", url)
        login, _, calls = customers.partition("export TOKEN=…")
        token = json.loads(shell(login, environment))["data"]
        answers = shell(f"export TOKEN={token}\n{calls.partition(chr(10))[2]}", environment)
        limits = shell(block("x-auth-token").replace("http://127.0.0.1:8000", url), environment)
    assert '"Updated"' in limits
    assert '"amount": "50"' in limits
    assert "asked for by phone" in limits
    assert answers.count('"status":"ok"') == calls.count("curl") == 6
    assert '"amount":20000.00' in answers
    shell(block("token create"), environment)
    assert told.startswith('{"status":"OK"}{"status":"OK"}')
    assert "balance        111.00" in told
    told = shell(block("cashier adjust"), environment)
    assert "rules hold" in told
    captured = shell(block("replay record").replace(" /tmp/", f" {tmp_path}/"), environment)
    assert captured.endswith("2 cases: 2 passed, 0 failed\n")
    history = json.loads(shell(block("exceptions list"), environment).splitlines()[0])
    assert history["status"] == "settled"


@pytest.mark.slow
def test_the_catalogue_runs_as_it_is_told(tmp_path: Path) -> None:
    told = shell(f"cd {ROOT}\n{block('replay run tests').replace(' /tmp/', f' {tmp_path}/')}", {})
    assert re.match(r"(\d+) cases: \1 passed, 0 failed\n", told)
    assert (tmp_path / "run.html").exists()


def test_operations_commands_are_real(database_url: str, tmp_path: Path) -> None:
    """All of them but the server's, one after the other: the first that fails stops the shell."""
    (tmp_path / "customers.csv").write_text("brand,uid,username,currency,balance,credit_limit\nacme,8,bob,EUR,1,0\n")
    environment = {"WALLET_HOOKS_DATABASE_URL": database_url, "ACME_BETFLEX_SECRET": "x" * 32}
    lines = [line.partition("  #")[0] for line in block("provider add").splitlines() if line.startswith("wallet-hooks")]
    assert len(lines) == 5
    script = "\n".join(lines).replace("--password-stdin", "--password-stdin <<< passw0rd1")
    shell(
        f"cd {tmp_path}\n{script.replace('wallet-hooks ', f'{Path(sys.executable).parent}/wallet-hooks ')}", environment
    )


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for text in BLOCKS:
        for target in re.findall(r"^make (\w+)", text, re.MULTILINE):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_is_known_by_its_help() -> None:
    assert set(cli.list_commands(click.Context(cli))) >= {
        "brand",
        "provider",
        "customer",
        "cashier",
        "wager",
        "exceptions",
        "db",
        "demo",
        "verify",
    }
