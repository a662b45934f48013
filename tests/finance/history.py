"""Three days of betting, and helpers that export and read them."""

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import duckdb
from freezegun import freeze_time

from tests.world import World, bet, refund, result
from wallet_hooks import clock
from wallet_hooks.cashier.service import Movement, move
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.finance.exports import DEFAULT_OPTIONS, write
from wallet_hooks.finance.report_request import ReportRequest
from wallet_hooks.ledger.rates import set_rate

FIRST, LAST = date(2026, 11, 18), date(2026, 11, 20)
HOSTILE_TEXT = "x\"\n2026-11-18 forged\n  ; =1+1 \u202e, 'y'"


def post_three_days(world: World) -> None:
    """Three currencies, three days, two time zones, corrections, and texts that try to inject lines."""
    with freeze_time("2026-11-18T10:00:00Z") as moment:
        for client, id_, zone in (("acme", 1007, "Europe/London"), ("west", 2, "America/Santiago")):
            world.brand(client, id_=id_, timezone=zone)
            world.provider(client)
        for uid, currency, balance in (("7", "EUR", "100.00"), ("8", "JPY", "50000"), ("9", "KWD", "30.000")):
            world.customer(uid, currency=currency, balance=balance)
        world.customer("7", client="west", balance="40.00")
        with writing(world.engine) as session:
            set_rate(session, source="GBP", target="EUR", rate="1.20", now=clock.now())
        world.place(bet(1), bet("=2+5", "7.50"), bet(3, "1000", user=8, currency="JPY"))
        world.place(bet(4, "0.125", user=9, currency="KWD"), bet(5, "5.00", currency="GBP"))
        moment.move_to("2026-11-19T02:30:00Z")  # still the 18th in Santiago
        world.place(bet(1, "4.00", client="west"))
        world.settle(result(1, "25.00"), result(3, "2500", user="8", currency="JPY"))
        moment.move_to("2026-11-19T12:00:00Z")
        world.settle(
            result(1, "30.00"), result(4, "0.001", user="9", currency="KWD"), result(5, "9.99", currency="GBP")
        )
        with writing(world.engine) as session:
            customer, _ = customer_by_uid(session, client="acme", uid="7", lock=True)
            adjustment = Movement(kind="adjustment", amount=-150, reference="A1", reason=HOSTILE_TEXT)
            move(session, customer, adjustment, now=clock.now())
        moment.move_to("2026-11-20T12:00:00Z")
        world.cancel(refund("=2+5"))
        world.place(bet(6, "3.33"))


def exported(
    world: World, report: str, format_: str, first: date = FIRST, last: date = LAST, **parameters: Any
) -> bytes:
    out = io.BytesIO()
    options = parameters.pop("options", DEFAULT_OPTIONS)
    write(world.engine, report, format_, request_for(first, last, **parameters), out, options)
    return out.getvalue()


def request_for(
    first: date = FIRST, last: date = LAST, customer: tuple[str, str] | None = None, **more: Any
) -> ReportRequest:
    return ReportRequest(first, last, customer, datetime(2026, 11, 21, 12, tzinfo=UTC), **more)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


def query(statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        return list(connection.execute(statement).fetchall())
