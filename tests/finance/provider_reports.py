"""A provider's report of a day that matches our bets, and runs of `reconcile` with such reports."""

import json
from pathlib import Path

from tests.test_commands import Ran, Shell
from tests.world import World

HEAD = "brand,bet,currency,stake,payout,status"
MATCHING_LINES = {
    "1": "acme,1,EUR,10.00,25.00,won",
    "2": "acme,2,EUR,10.00,0.00,lost",
    "3": "acme,3,EUR,10.00,10.00,void",
    "4": "acme,4,EUR,10.00,,cancelled",
    "5": "acme,5,EUR,10.00,,open",
    "6": "acme,6,EUR,1.50,,open",
}
PERIOD = ["--from", "2026-11-20", "--to", "2026-11-20"]


def run(world: World, tmp_path: Path, lines: dict[str, str] | list[str], *options: str) -> Ran:
    file = tmp_path / "report.csv"
    file.write_text("\n".join([HEAD, *(lines.values() if isinstance(lines, dict) else lines), ""]))
    shell = Shell(world.settings.database_url)
    return shell.run("reconcile", "--provider", "betflex", str(file), *PERIOD, "--json", *options)


def kinds(ran: Ran) -> list[tuple[str, str]]:
    return [(one["kind"], one["bet"]) for one in map(json.loads, ran.stdout.splitlines())]
