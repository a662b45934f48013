"""Probes for monitoring: liveness (`/healthz`), readiness (`/readyz`) and Prometheus metrics (`/metrics`)."""

from collections import Counter
from weakref import WeakKeyDictionary

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Dialect, Engine
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError

from wallet_hooks import clock, money
from wallet_hooks.database import first_line, read_with_retries, reading
from wallet_hooks.database.brands import engines_of_brands
from wallet_hooks.database.deadlines import answer_within
from wallet_hooks.database.guards import database_problem
from wallet_hooks.database.revisions import current_revision, schema_problem
from wallet_hooks.ledger.currencies import stored_currencies
from wallet_hooks.ledger.queries import sum_open_stakes
from wallet_hooks.logs import LOG
from wallet_hooks.telemetry import exposition

_METRICS_TIMEOUT = 5.0  # seconds
_CHECK_INTERVAL = 60.0  # seconds after which a database that was right is checked again
# When databases were right, by their engines' dialects.
_checked: "WeakKeyDictionary[Dialect, float]" = WeakKeyDictionary()


def blueprint(engine: Engine, reports: Engine, *, timeout: float) -> Blueprint:
    """Return the probes. `engine` is that of the callbacks; `reports` is for sums over many rows.

    `/readyz` waits for the database for `timeout` seconds, `/metrics` for five.
    """
    probes = Blueprint("probes", __name__)

    @probes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @probes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        with answer_within(timeout):
            problem = _readiness_problem(engine)
        return jsonify(status="ok" if problem is None else problem), 200 if problem is None else 503

    @probes.get("/metrics")
    def metrics() -> Response:
        with answer_within(_METRICS_TIMEOUT):
            stakes = _open_stakes(reports)
        return Response(exposition() + stakes, content_type=CONTENT_TYPE_LATEST)

    return probes


def _readiness_problem(engine: Engine) -> str | None:
    """Return why the service is not ready, or None."""
    try:
        revision, stored = read_with_retries(lambda: _read_state(engine))
    except SQLAlchemyError as error:
        return _reason(error)
    if (problem := schema_problem(revision)) is not None:
        return problem
    if (problem := _schemas_problem(engine)) is not None:
        return problem
    try:
        money.register_stored(stored)
    except money.CurrencyMismatchError as error:
        return str(error)
    return None


def _schemas_problem(engine: Engine) -> str | None:
    """Return what is wrong with the database besides its migration; None if all was right within the last minute."""
    now = clock.monotonic()
    if now < _checked.get(engine.dialect, -_CHECK_INTERVAL) + _CHECK_INTERVAL:
        return None
    try:
        with reading(engine) as session:
            problem = database_problem(session.connection())
    except SQLAlchemyError as error:
        return _reason(error)
    if problem is None:
        _checked[engine.dialect] = now
    return problem


def _reason(error: SQLAlchemyError) -> str:
    """Return why the database could not be read: what it denied, as to a role without rights, or that it is away."""
    return first_line(error) if isinstance(error, ProgrammingError) else "database unreachable"


def _read_state(engine: Engine) -> tuple[str | None, dict[str, int]]:
    """Return the migration revision of the database, and the stored currencies with their decimals."""
    with reading(engine) as session:
        revision = current_revision(session)
    with reading(engine) as session:
        return revision, stored_currencies(session.connection())


def _open_stakes(engine: Engine) -> bytes:
    """Return open stakes by currency from the ledger, as metrics; none while they cannot be read of every brand."""
    stakes: Counter[str] = Counter()
    try:
        for _, own in engines_of_brands(engine):
            with reading(own) as session:
                stakes.update(sum_open_stakes(session))
    except SQLAlchemyError as error:
        LOG.warning("open_stakes_unreadable", error=type(error).__name__)
        return b""
    name = "wallet_hooks_open_stakes_minor_units"
    lines = [f"# HELP {name} Stakes taken and not settled.", f"# TYPE {name} gauge"]
    lines += [f'{name}{{currency="{currency}"}} {amount}' for currency, amount in sorted(stakes.items())]
    return "\n".join([*lines, ""]).encode()
