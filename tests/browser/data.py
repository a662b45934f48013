"""Data that fills every page: bets of every outcome, limits, exceptions, a closed day, a reconciliation."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from freezegun import freeze_time

from tests.test_commands import Shell
from tests.world import World, bet, refund, result


def fill(world: World) -> None:
    """Fill a world that has customer 7."""
    shell = Shell(world.settings.database_url)
    now = datetime.now(UTC)
    world.customer("8", balance="50.00", credit_limit="20.00")
    world.deposit("500.00")
    with freeze_time(now - timedelta(days=2), tick=True):
        world.place(bet("early", "3.00", user=8))
        world.settle(result("early", "9.00", user="8", stake="3.00"))
    for number in range(1, 71):
        world.place(bet(number, "2.00"))
    for number in range(1, 31):
        payout, outcome = ("5.00", "won") if number % 3 == 0 else ("0", "lost")
        world.settle(result(number, payout, outcome=outcome, stake="2.00"))
    world.place(bet(1, "2.00"))
    world.place(bet(500, "100000.00", user=8))
    world.place(bet("x/y %?#", "1.00", user=8))
    world.post("/bets", b"not json")
    world.settle(result(777, "5.00"))
    world.cancel(refund(40, amount="2.00"))
    shell.ok("customer", "change", "--brand", "acme", "--uid", "8", "--credit-limit", "40", "--comment", "good payer")
    limit = ("--type", "bet", "--frame", "day", "--amount", "160.00", "--reason", "asked")
    shell.ok("limit", "set", "--brand", "acme", "--uid", "7", *limit)
    shell.ok("verify")
    shell.ok("close", (now - timedelta(days=2)).date().isoformat())
    with TemporaryDirectory() as directory:
        report = Path(directory) / "report.csv"
        report.write_text("brand,bet,currency,stake,payout,status\nacme,3,EUR,2.00,9.00,won\nacme,404,EUR,1.00,,open\n")
        today = now.date().isoformat()
        shell.run("reconcile", "--provider", "betflex", "--from", today, "--to", today, str(report))
