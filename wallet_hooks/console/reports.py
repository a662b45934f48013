"""Pages of reports: a form, a preview and an export of each; charts of gaming revenue and of open stakes by age."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from wallet_hooks import money
from wallet_hooks.console.charts import Series, bar_chart
from wallet_hooks.console.exporting import Export
from wallet_hooks.console.rendering import Html, redirect
from wallet_hooks.console.visits import Visit
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance import exports
from wallet_hooks.finance.exports import FORMATS, Options
from wallet_hooks.finance.manifests import manifest_of
from wallet_hooks.finance.report_request import ReportRequest, check_period, read_day
from wallet_hooks.finance.reports import REPORTS, report_named
from wallet_hooks.finance.routes import FileChunks, content_type
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.sportsbook.models import Wager
from wallet_hooks.web.api import Reply

_PREVIEWED_ROWS = 20
_DEFAULT_DAYS = 7
# Ages of open stakes: the name, and the days below which it ends.
_AGES = (("less than a day", 1), ("1 to 7 days", 7), ("7 to 30 days", 30), ("30 to 90 days", 90), ("older", None))


def show_list(visit: Visit) -> Html:
    """List the reports."""
    return Html("reports.html", {"reports": list(REPORTS)})


def show(visit: Visit, report: str) -> Html:
    """Show a report's form, and a preview of its rows once a period was chosen."""
    found = report_named(report)
    given = {name: visit.query(name) for name in ("from", "to", "brand", "uid")}
    request = _request(visit, given, needs_customer=found.needs_customer)
    values: dict[str, Any] = {
        "report": report,
        "found": found,
        "given": given | {"from": request.first.isoformat(), "to": request.last.isoformat()},
        "takes_currency": report == "journal",
        "formats": [name for name in FORMATS if name in WRITERS or report == "journal"],
        "rows": None,
        "charts": [],
        "more": False,
    }
    if visit.query("from") and (request.customer is not None or not found.needs_customer):
        with reading(visit.reports) as session:
            rows = _rows(session, report, request)
            values["rows"] = list(islice(rows, _PREVIEWED_ROWS if report != "gaming-revenue" else None))
            values["more"] = next(rows, None) is not None
        if report == "gaming-revenue":
            values["charts"] = _revenue_charts(values["rows"], request.first, request.last)
    return Html("report.html", values)


def export(visit: Visit, report: str) -> Reply:
    """Start an export."""
    found = report_named(report)
    given = {name: visit.form.get(name, "").strip() for name in ("from", "to", "brand", "uid")}
    request = _request(visit, given, needs_customer=found.needs_customer)
    options = Options(visit.form.get("bom") == "yes", visit.console.codes)
    format_ = visit.form.get("format", "")
    if currency := visit.form.get("currency", "").strip():
        request = request._replace(currency=currency)
    id_ = visit.console.exports.start(visit.reports, report, format_, request, options, owner=visit.member.username)
    with writing(visit.engine) as session:
        facts = {"from": request.first.isoformat(), "to": request.last.isoformat(), "currency": request.currency}
        if request.customer is not None:
            facts |= dict(zip(("brand", "uid"), request.customer, strict=True))
        visit.record(session, "export", report, format=format_, **facts)
    return redirect(f"/console/exports/{id_}")


def show_export(visit: Visit, id_: str) -> Html:
    """Show an export's progress, and its file once it is done."""
    return Html("export.html", {"export": visit.console.exports.find(id_, owner=visit.member.username)})


def download(visit: Visit, id_: str, file: str) -> Reply:
    """Download a finished export, or its manifest."""
    found = visit.console.exports.find(id_, owner=visit.member.username)
    path = _path(visit, found, file)
    headers = {
        "Content-Disposition": f'attachment; filename="{path.name}"',
        "Content-Length": str(path.stat().st_size),
    }
    kind = content_type(found.format) if path.name == found.file else "application/json"
    return Reply(200, FileChunks(path.open("rb")), kind, headers)


def open_stakes(visit: Visit) -> Html:
    """Show open stakes by age, as a chart and a table for each currency."""
    with reading(visit.reports) as session:
        ages = list(_open_stakes_by_age(session, visit.request.now))
    charts = []
    for currency in sorted({row["currency"] for row in ages}):
        rows = [row for row in ages if row["currency"] == currency]
        total = money.format_amount(sum(row["minor"] for row in rows), currency)
        sentence = f"{total} {currency} are staked; open bets: {sum(row['bets'] for row in rows):,}."
        values = [row["minor"] / 10 ** money.decimals(currency) for row in rows]
        title = f"Open stakes by age, {currency}"
        series = [Series("stakes", "series-1", values)]
        chart = bar_chart([row["age"] for row in rows], series, title=title, sentence=sentence)
        charts.append({"title": title, "sentence": sentence, "chart": chart, "rows": rows, "currency": currency})
    return Html("open_stakes.html", {"charts": charts})


def _path(visit: Visit, found: Export, file: str) -> Any:
    names = {found.file, manifest_of(Path(found.file)).name}
    names |= {one["file"] for one in (found.manifest or {}).get("files", ())}
    if found.manifest is None or file not in names:
        raise RefusedError("not_done", "The export is not done, or has no such file.")
    return visit.console.exports.file(found).with_name(file)


def _request(visit: Visit, given: dict[str, str], *, needs_customer: bool) -> ReportRequest:
    """Return the parameters of a report; by default the last days. Raises RefusedError."""
    newest = exports.newest_day(visit.reports, visit.request.now)
    last = read_day("to", given["to"]) if given["to"] else newest
    first = read_day("from", given["from"]) if given["from"] else newest - timedelta(days=_DEFAULT_DAYS - 1)
    check_period(first, last)
    customer = None
    if needs_customer and given["uid"]:
        customer = given["brand"], given["uid"]
        with reading(visit.reports) as session:
            customer_by_uid(session, client=given["brand"], uid=given["uid"])  # raises NotFoundError
    return ReportRequest(first, last, customer, visit.request.now)


def _rows(session: Session, report: str, request: ReportRequest) -> Iterator[dict[str, Any]]:
    """Yield a report's rows; amounts as decimal strings, as in its export."""
    found = report_named(report)
    amounts = [name for name, kind in found.columns.items() if kind == "amount"]
    for batch in found.batches(session, request):
        for row in batch.to_pylist():
            shown = {name: _format(row[name], row["currency"]) for name in amounts}
            yield row | shown


def _format(minor: Any, currency: str) -> str | None:
    return None if minor is None else money.format_amount(int(minor), currency)


def _revenue_charts(rows: list[dict[str, Any]], first: date, last: date) -> list[dict[str, Any]]:
    """Return a chart of gross gaming revenue by day for each currency."""
    charts = []
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)][-366:]
    for currency in sorted({row["currency"] for row in rows}):
        by_day: dict[date, int] = {}
        for row in rows:
            if row["currency"] == currency:
                minor = _minor(row["ggr"], currency)
                by_day[row["day"]] = by_day.get(row["day"], 0) + minor
        total = money.format_amount(sum(by_day.values()), currency)
        title = f"Gross gaming revenue by day, {currency}"
        part = f" The chart begins on {days[0]}." if days[0] != first else ""
        sentence = f"{total} {currency} from {first} to {last}.{part}"
        values = [by_day.get(day, 0) / 10 ** money.decimals(currency) for day in days]
        chart = bar_chart(
            [day.isoformat() for day in days], [Series("GGR", "series-1", values)], title=title, sentence=sentence
        )
        charts.append({"title": title, "sentence": sentence, "chart": chart})
    return charts


def _minor(text: str, currency: str) -> int:
    return money.parse_signed(text, lambda digits: money.parse_number(digits, currency))


def _open_stakes_by_age(session: Session, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield the stakes and numbers of open bets by currency and age; ages without bets too."""
    limits = [(name, now - timedelta(days=days)) for name, days in _AGES if days is not None]
    age = case(*((Wager.placed_at > begins, name) for name, begins in limits), else_=_AGES[-1][0])
    query = select(Wager.currency, age, func.sum(Wager.stake), func.count()).where(Wager.status == "open")
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for currency, name, stake, bets in session.execute(query.group_by(Wager.currency, age)):
        found.setdefault(str(currency), {})[name] = (int(stake), bets)
    for currency, ages in sorted(found.items()):
        for name, _ in _AGES:
            minor, bets = ages.get(name, (0, 0))
            stake = money.format_amount(minor, currency)
            yield {"currency": currency, "age": name, "minor": minor, "stake": stake, "bets": bets}
