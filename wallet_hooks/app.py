"""The roof: the Flask application, put together from its rooms."""

import traceback
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from flask import Flask, Response, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from wallet_hooks import clock, money, probes
from wallet_hooks.bookies import routes as bookies
from wallet_hooks.cashier import routes as cashier
from wallet_hooks.customers import protocol
from wallet_hooks.customers import routes as customers
from wallet_hooks.customers.protocol import Office
from wallet_hooks.database import open_engine
from wallet_hooks.errors import RefusedError
from wallet_hooks.finance import routes as finance
from wallet_hooks.finance.general_ledger import AccountCodes, configured_codes
from wallet_hooks.limits import routes as limits
from wallet_hooks.openapi import routes as openapi
from wallet_hooks.settings import ConfigurationError, Settings
from wallet_hooks.sportsbook import routes as callbacks
from wallet_hooks.telemetry import LOG, start_logging
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import TEST_CLOCK_HEADER, new_request_id

_V1 = "/v1/"
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


def create_app(settings: Settings) -> Flask:
    """An application on the settings' database. Raises ConfigurationError where they cannot be used."""
    start_logging(settings.log_level)
    try:
        money.add_currencies(settings.currencies)
    except money.MoneyError as error:
        raise ConfigurationError(f"WALLET_HOOKS_CURRENCIES: {error}") from None
    app = Flask(__name__, static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    engine = open_engine(settings, for_callbacks=True)
    reports = open_engine(replace(settings, database_url=settings.reporting_database_url or settings.database_url))
    countries = Countries(settings.geoip_file)
    office = Office(engine=open_engine(settings), settings=settings, countries=countries)
    app.extensions["wallet_hooks"] = {"engine": engine, "reports": reports, "office": office.engine}
    app.register_blueprint(callbacks.Callbacks(engine, settings, countries).blueprint())
    for name, routes in (("customers", customers.ROUTES), ("bookies", bookies.ROUTES), ("cashier", cashier.ROUTES)):
        app.register_blueprint(protocol.blueprint(name, routes, office))
    app.register_blueprint(limits.blueprint(office))
    app.register_blueprint(finance.blueprint(office.engine, reports, _account_codes(settings)))
    app.register_blueprint(probes.blueprint(engine, reports))
    app.register_blueprint(openapi.blueprint())
    if settings.debug and settings.test_clock:
        app.before_request(_set_clock)
        app.after_request(_tell_clock)
    app.register_error_handler(HTTPException, partial(callbacks.answer_http_error, envelope=_envelope))
    app.register_error_handler(Exception, _answer_defect)
    return app


def _set_clock() -> None:
    """Let a replay tell what time it is, for this process and until the next request."""
    text = request.headers.get(TEST_CLOCK_HEADER)
    try:
        instant = None if text is None else datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        instant = None
    # Outside these years there is no room for what is reckoned from the clock, such as a window's end.
    clock.set_to(instant if instant is not None and _FIRST_YEAR <= instant.year <= _LAST_YEAR else None)


def _tell_clock(response: Response) -> Response:
    if TEST_CLOCK_HEADER in request.headers:
        response.headers[TEST_CLOCK_HEADER] = clock.now().isoformat()
    return response


def _account_codes(settings: Settings) -> AccountCodes:
    try:
        return configured_codes(settings)
    except RefusedError as error:
        raise ConfigurationError(f"WALLET_HOOKS_ACCOUNT_CODES_FILE: {error}") from None


def _answer_defect(error: Exception) -> Response:
    """A defect of ours: logged with its trace under an id that the answer carries, and told without it."""
    request_id = new_request_id(clock.now())
    _log_defect(request_id, error)
    response = _envelope("internal_error", 500)
    response.headers["X-Request-Id"] = request_id
    return response


def _envelope(code: str, status: int) -> Response:
    """A refusal in the envelope of the room that the path belongs to."""
    if request.path.startswith(_V1):
        return protocol.error_response(code, status)
    if request.path.startswith(limits.PREFIX):
        if status == 500:
            return limits.defect_response()
        return limits.error_response(code.replace("_", " "), code, status)
    return callbacks.error_response(code, status)


def _log_defect(request_id: str, error: Exception) -> None:
    """With its trace; of a database's error not its words, which quote rows that may hold secrets."""
    if isinstance(error, DBAPIError):
        state = getattr(error.orig, "sqlstate", None)
        trace = "".join(traceback.format_tb(error.__traceback__))
        name = type(error.orig).__name__
        LOG.error("defect", request_id=request_id, path=str(request.url_rule), error=name, state=state, trace=trace)
    else:
        LOG.error("defect", request_id=request_id, path=str(request.url_rule), exc_info=error)
