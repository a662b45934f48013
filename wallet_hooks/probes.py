"""Is it alive, is it ready, what does it measure: for the machines that watch."""

from flask import Blueprint, Response, jsonify
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from wallet_hooks import money
from wallet_hooks.database import reading, run_with_retries
from wallet_hooks.database.schema import current_revision, schema_problem
from wallet_hooks.ledger.currencies import stored_currencies
from wallet_hooks.ledger.queries import open_stakes
from wallet_hooks.telemetry import exposition


def blueprint(engine: Engine, reports: Engine) -> Blueprint:
    """`engine` is what the callbacks use, `reports` where sums over many rows are read."""
    probes = Blueprint("probes", __name__)

    @probes.get("/healthz")
    def healthz() -> Response:
        return jsonify(status="ok")

    @probes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        problem = _problem(engine)
        return jsonify(status="ok" if problem is None else problem), 200 if problem is None else 503

    @probes.get("/metrics")
    def metrics() -> Response:
        return Response(exposition() + _open_stakes(reports), content_type=CONTENT_TYPE_LATEST)

    return probes


def _problem(engine: Engine) -> str | None:
    try:
        revision, stored = run_with_retries(lambda: _read_state(engine))
    except SQLAlchemyError:
        return "database unreachable"
    if (problem := schema_problem(revision)) is not None:
        return problem
    try:
        money.register_stored(stored)
    except money.CurrencyMismatchError as error:
        return str(error)
    return None


def _read_state(engine: Engine) -> tuple[str | None, dict[str, int]]:
    """The migration that the database is at, and the stored currencies."""
    with reading(engine) as session:
        revision = current_revision(session)
    with reading(engine) as session:
        return revision, stored_currencies(session.connection())


def _open_stakes(engine: Engine) -> bytes:
    """Stakes taken and not settled, by currency, from the ledger itself; left out while the database is away."""
    try:
        with reading(engine) as session:
            stakes = open_stakes(session)
    except SQLAlchemyError:
        return b""
    name = "wallet_hooks_open_stakes_minor_units"
    lines = [f"# HELP {name} Stakes taken and not settled.", f"# TYPE {name} gauge"]
    lines += [f'{name}{{currency="{currency}"}} {amount}' for currency, amount in sorted(stakes.items())]
    return "\n".join([*lines, ""]).encode()
