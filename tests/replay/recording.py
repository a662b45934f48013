"""Helpers of tests of captures with betslip messages: messages, bets of a betslip, recording and running."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.test_commands import Shell
from tests.world import World, bet
from wallet_hooks.replay.fixture import Case, read_cases

SLIP = "slip"
CLOSED = ["betslip_closed", {"betslip_id": SLIP, "close_reason": "timeout"}]


def pmm(least: float = 5.0, most: float = 20.5, **changes: Any) -> list[Any]:
    currency = changes.pop("currency", "EUR")
    offer = {"price": 2.1368, "min": [currency, least], "max": [currency, most]}
    body = {"betslip_id": SLIP, "bookie": "bf", "username": "u", "status": {"code": "success"}}
    return ["pmm", body | {"price_list": [{"effective": offer}]} | changes]


def send(world: World, body: Any, **options: Any) -> Any:
    return world.post("/betslips/messages", body, **options)


def of_slip(uid: Any, amount: str = "10.00", **options: Any) -> dict[str, Any]:
    item = bet(uid, amount, **options)
    item["bet"]["extra"] = {"betslip_id": SLIP}
    return item


def now() -> str:
    return datetime.now(UTC).isoformat()


class Recording:
    """Records captures of a world, and runs them as they are and redacted."""

    def __init__(self, world: World, directory: Path) -> None:
        self._shell = Shell(world.settings.database_url)
        self.capture, self.redacted = directory / "capture.jsonl", directory / "redacted.jsonl"

    def record(self, *options: str) -> list[Case]:
        self._shell.ok("replay", "record", "-o", str(self.capture), *options)
        self._shell.ok("replay", "redact", str(self.capture), "-o", str(self.redacted))
        self._shell.ok("replay", "lint", str(self.redacted))
        return list(read_cases(self.capture))

    def run(self, *options: str) -> None:
        for path in (self.capture, self.redacted):
            ran = self._shell.run("replay", "run", str(path), *options)
            assert ran.returncode == 0, ran.stdout


def given(cases: list[Case], line: int = 0) -> Any:
    return cases[line].given.get("betslips")
