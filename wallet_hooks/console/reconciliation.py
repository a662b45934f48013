"""Pages of reconciliations: upload of a provider's report, runs, and the breaks of each."""

from collections import Counter, deque
from datetime import timedelta
from io import BytesIO

from sqlalchemy import select

from wallet_hooks.console.paging import READ, take_page
from wallet_hooks.console.rendering import Html, redirect
from wallet_hooks.console.report_reading import read_report_apart
from wallet_hooks.console.texts import number, row_of
from wallet_hooks.console.visits import Visit
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance.batches import in_batches
from wallet_hooks.finance.models import Reconciliation, ReconciliationBreak
from wallet_hooks.finance.provider_report import COLUMNS, lines_of, read_columns
from wallet_hooks.finance.reconciliation import (
    BREAK_COLUMNS,
    DEFAULT_TOLERANCE_MINUTES,
    MAX_TOLERANCE_MINUTES,
    Break,
    MatchScope,
    reconcile,
)
from wallet_hooks.finance.reconciliation_runs import MAX_STORED_BREAKS, keep_first, store_run
from wallet_hooks.finance.report_request import read_day
from wallet_hooks.finance.routes import content_type
from wallet_hooks.finance.tables import WRITERS
from wallet_hooks.identity.service import all_games, brand_by_client
from wallet_hooks.text_checks import is_whole_number
from wallet_hooks.web.api import Reply
from wallet_hooks.web.concurrency import ConcurrencyLimit

_LONGEST_FIELD, _LONGEST_MAPPING = 64, 1000  # characters
_limit = ConcurrencyLimit("reconciliations", running=1, admitted=2)


def show_list(visit: Visit) -> Html:
    """Show the form and the runs, newest first."""
    query = select(Reconciliation).order_by(Reconciliation.id.desc()).limit(READ)
    if after := visit.query("after"):
        query = query.where(Reconciliation.id < number(after, "page"))
    with reading(visit.engine) as session:
        values = {
            "found": take_page(session.scalars(query), lambda run: run.id),
            "games": all_games(session),
            "columns": COLUMNS,
            "default_minutes": DEFAULT_TOLERANCE_MINUTES,
        }
    return Html("reconciliations.html", values)


def show(visit: Visit, id_: str) -> Html:
    """Show a run with its breaks, of all kinds or of one."""
    kind = visit.query("kind")
    with reading(visit.engine) as session:
        run = row_of(session, Reconciliation, id_, "run")
        query = select(ReconciliationBreak).where(ReconciliationBreak.reconciliation_id == run.id)
        if kind:
            query = query.where(ReconciliationBreak.kind == kind)
        if after := visit.query("after"):
            query = query.where(ReconciliationBreak.number > number(after, "page"))
        found = take_page(
            session.scalars(query.order_by(ReconciliationBreak.number).limit(READ)), lambda one: one.number
        )
    values = {"run": run, "found": found, "kind": kind, "shown": {"kind": kind} if kind else {}}
    return Html("reconciliation.html", values | {"most": MAX_STORED_BREAKS})


def download(visit: Visit, id_: str) -> Reply:
    """Download the stored breaks of a run as CSV."""
    with writing(visit.engine) as session:
        run = row_of(session, Reconciliation, id_, "run")
        own = select(ReconciliationBreak).where(ReconciliationBreak.reconciliation_id == run.id)
        breaks = session.scalars(own.order_by(ReconciliationBreak.number))
        rows = (tuple(getattr(one, name) for name in BREAK_COLUMNS) for one in breaks)
        out = BytesIO()
        WRITERS["csv"](BREAK_COLUMNS, in_batches(BREAK_COLUMNS, rows), out)
        visit.record(session, "download_breaks", f"run {run.id}")
    headers = {"Content-Disposition": f'attachment; filename="breaks-{run.id}.csv"'}
    return Reply(200, [out.getvalue()], content_type("csv"), headers)


def upload(visit: Visit) -> Reply:
    """Match an uploaded report with our wagers, and store the run."""
    sent = visit.upload
    assert sent is not None, "the page takes a file"
    with _limit.slot():
        scope = MatchScope(
            visit.required("provider", most=_LONGEST_FIELD),
            read_day("from", visit.required("from", most=_LONGEST_FIELD)),
            read_day("to", visit.required("to", most=_LONGEST_FIELD)),
            timedelta(minutes=_minutes(visit.form.get("cut_off", "") or str(DEFAULT_TOLERANCE_MINUTES))),
        )
        brand = visit.required("brand", most=_LONGEST_FIELD) if visit.form.get("brand", "").strip() else None
        if visit.brands and brand not in (None, visit.brand):
            raise RefusedError("bad_field", f"brand: the page shows {visit.brand}; choose the brand above")
        mapping = _mapping(visit.form.get("columns", "").strip() or "{}")
        counted: Counter[str] = Counter()
        kept: list[Break] = []
        with reading(visit.reports) as session:
            if brand is not None:
                brand_by_client(session, brand)
                scope = scope._replace(brands=frozenset({brand}))
            lines = read_report_apart(sent.path, mapping, brand=brand)
            if visit.brand is not None:  # the page shows one brand
                lines = (line for line in lines_of(lines, visit.brands) if line.brand == visit.brand)
            deque(keep_first(reconcile(session, lines, scope, counted), kept), maxlen=0)
        with writing(visit.engine) as session, sent.path.open("rb") as file:
            run = store_run(session, scope, sent.name, file, counted, kept, now=visit.request.now)
            period = {"from": scope.first.isoformat(), "to": scope.last.isoformat()}
            facts = {"provider": scope.game, "brand": brand, **period, "file": sent.name, "sha256": run.sha256}
            visit.record(session, "reconcile", f"run {run.id}", **facts)
            id_ = run.id
    return redirect(f"/console/reconciliation/{id_}", done="reconciled")


def _minutes(text: str) -> int:
    if not is_whole_number(text, digits=4) or int(text) > MAX_TOLERANCE_MINUTES:
        raise RefusedError("bad_field", f"cut_off: a number of minutes from 0 to {MAX_TOLERANCE_MINUTES} is expected")
    return int(text)


def _mapping(text: str) -> dict[str, str]:
    """Return the report's names of our columns, given as JSON. Raises RefusedError."""
    try:
        return read_columns(text if len(text) <= _LONGEST_MAPPING else "")
    except ValueError as error:
        raise RefusedError("bad_columns", f"columns: {error}") from None
