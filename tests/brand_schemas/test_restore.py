"""One brand is restored from a dump of its schema while the service serves, as docs/scale.md says."""

import re
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests import citus, postgresql
from tests.test_commands import Shell
from tests.world import OK, World, bet, result

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"


def make_vendor_of(world: World, shell: Shell, username: str) -> str:
    """Log a customer in, make it the owner of a vendor's application, and return its session."""
    session = str(world.post("/v1/sessions/", {"username": username, "password": "long-enough-1"}).body["data"])
    made = world.post(
        "/exchange/account/rest/v1.0/createDeveloperAppKeys/",
        {"appName": "helper"},
        headers={"X-Authentication": session},
    )
    assert made.status == 200
    shell.ok("vendor", "add", "--app", "helper", "--redirect-url", "https://vendor.example/")
    return session


@pytest.mark.skipif(citus.COORDINATOR is not None, reason="runs the programs of the tests' own server")
def test_a_brand_is_restored_from_a_dump_of_its_schema(
    spread: World, shell: Shell, postgresql_server: postgresql.Server, tmp_path: Path
) -> None:
    blocks = re.findall(r"```sh not-run\n((?:pg_dump|\(\n  set -e)\b.*?)```", PAGE.read_text(), re.DOTALL)
    dump, restore = (re.sub("  systemctl.*(?=\n\\))", "", block, flags=re.DOTALL) for block in blocks)
    url = make_url(spread.settings.database_url)
    environment = {
        "PATH": f"{postgresql_server.binaries}:/usr/bin:/bin",
        "PGHOST": str(url.query["host"]),
        "PGUSER": "postgres",
    }

    def run(script: str) -> None:
        script = script.replace("wallet", str(url.database)).replace("acme-", f"{tmp_path}/acme-")
        subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=environment, check=True, capture_output=True)

    assert spread.place(bet(1), bet(1, client="west")) == OK
    run(dump)
    create = ("customer", "create", "--brand", "acme", "--uid", "90", "--username", "latecomer", "--currency", "EUR")
    shell.ok(*create, "--password-stdin", stdin="long-enough-1\n")
    session = make_vendor_of(spread, shell, "latecomer")
    assert spread.settle(result(1), result(1, client="west")) == OK
    run(restore)
    spread.close_app()
    assert spread.client.get("/v1/customers/latecomer/", headers={"Session": session}).status_code == 401
    assert (
        spread.client.get("/api/keepAlive", headers={"X-Authentication": session}).get_json()["error"] == "NO_SESSION"
    )
    funds = spread.post("/exchange/account/rest/v1.0/getAccountFunds/", {}, headers={"X-Authentication": session})
    assert (funds.status, funds.body["faultstring"]) == (400, "AANGX-0002")
    assert "helper" in shell.ok("vendor", "list")
    assert shell.ok("db", "check") == "no problem found\n"
    assert [spread.balance(client=client) for client in ("acme", "west")] == ["90.00", "115.00"]
    assert spread.settle(result(1)) == OK
    shell.ok(*create)
    assert spread.differences() == []
