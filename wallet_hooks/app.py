"""The app factory: wires engines, blueprints and error handlers."""

from typing import NamedTuple

from flask import Flask, Response, request
from sqlalchemy import Engine

from wallet_hooks import clock, probes, v1
from wallet_hooks.accounts_api import routes as accounts
from wallet_hooks.accounts_api import vendor_routes
from wallet_hooks.betslips import routes as betslips
from wallet_hooks.betslips.customer_feed import Feed
from wallet_hooks.betslips.stream import Streams
from wallet_hooks.bookies import routes as bookies
from wallet_hooks.cashier import routes as cashier
from wallet_hooks.console import routes as console
from wallet_hooks.customers import routes as customers
from wallet_hooks.database import open_engine
from wallet_hooks.finance import routes as finance
from wallet_hooks.finance.general_ledger import configured_codes
from wallet_hooks.ledger import currencies
from wallet_hooks.limits import routes as limits
from wallet_hooks.logs import start_logging
from wallet_hooks.openapi import routes as openapi
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook import customer_routes
from wallet_hooks.sportsbook import routes as callbacks
from wallet_hooks.sportsbook.accounting import cost_of_open_stakes
from wallet_hooks.telemetry import REQUESTS
from wallet_hooks.web import api
from wallet_hooks.web.api import GROUPED_API, ApiContext, WholePath
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.requests import TEST_CLOCK_HEADER


class Engines(NamedTuple):
    """The application's engines, which differ in their time-outs and pools, by what uses them."""

    callbacks: Engine
    messages: Engine  # arrays of betslip messages
    customers: Engine  # /v1 and the limits gateway
    accounts: Engine  # the account API and the streams
    staff: Engine  # what finance and the console change
    reports: Engine


def create_app(settings: Settings) -> Flask:
    """Return the application for the given settings. Raises ConfigurationError if they are invalid."""
    start_logging(settings.log_level)
    app = Flask(__name__, static_folder=None)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.url_map.converters["whole"] = WholePath
    app.url_map.merge_slashes = False  # a path with `//` inside is unknown: clients of an API do not follow redirects
    engines = _open_engines(settings)
    app.extensions["wallet_hooks"] = engines
    countries = Countries(settings.geoip_file)
    _add_callbacks(app, engines, settings, countries)
    _add_apis_of_customers(app, engines, settings, countries)
    for blueprint in accounts.blueprints(engines.accounts, settings):
        app.register_blueprint(blueprint)
    codes = configured_codes(settings)
    app.register_blueprint(finance.blueprint(engines.staff, engines.reports, codes, settings))
    app.register_blueprint(console.blueprint(engines.staff, engines.reports, settings, codes, countries))
    timeout = settings.callback_time_outs.answer
    app.register_blueprint(probes.blueprint(engines.callbacks, engines.reports, timeout=timeout))
    app.register_blueprint(openapi.blueprint())
    if settings.debug and settings.test_clock:
        app.before_request(_set_clock)
        app.after_request(_report_clock)
    app.after_request(_count)
    protocols = [v1.V1, limits.LIMITS, *accounts.APIS, betslips.BETSLIPS_API, finance.FINANCE, console.CONSOLE]
    api.register_error_handlers(app, [*protocols, callbacks.CALLBACKS_API])
    currencies.initialize(engines.callbacks, settings)  # last, because it leaves a connection open
    return app


# Seconds that a form waits for each answer of the database: closing a day reads all its entries.
_LONGEST_WAIT = 600.0


def _open_engines(settings: Settings) -> Engines:
    return Engines(
        callbacks=open_engine(settings, for_callbacks=True),
        messages=open_engine(settings, time_outs=settings.message_time_outs),
        customers=open_engine(settings, time_outs=settings.call_time_outs),
        accounts=open_engine(settings, time_outs=settings.account_time_outs),
        staff=open_engine(settings, longest_wait=_LONGEST_WAIT),
        reports=open_engine(settings, for_reports=True),
    )


def _add_callbacks(app: Flask, engines: Engines, settings: Settings, countries: Countries) -> None:
    """Add what providers call: bets, results, cancels and betslip messages."""
    sportsbook = callbacks.CallbackRoutes(engines.callbacks, settings, countries)
    app.register_blueprint(api.blueprint(callbacks.CALLBACKS_API, sportsbook.endpoints(), settings))
    if not settings.test_clock:  # whose time is set by each request
        app.extensions[GROUPED_API] = sportsbook.grouped()
    intake = betslips.Intake(engines.messages, settings).endpoint()
    app.register_blueprint(api.blueprint(betslips.BETSLIPS_API, [intake], settings, name="betslip_messages"))


def _add_apis_of_customers(app: Flask, engines: Engines, settings: Settings, countries: Countries) -> None:
    """Add /v1 with its stream, and the limits gateway."""
    context = ApiContext(engine=engines.customers, settings=settings, countries=countries)
    for name, routes in (
        ("customers", customers.ROUTES),
        ("bookies", bookies.ROUTES),
        ("cashier", cashier.ROUTES),
        ("betslips", betslips.ROUTES),
        ("accounting", customer_routes.ROUTES),
        ("vendors", vendor_routes.ROUTES),
    ):
        app.register_blueprint(v1.blueprint(name, routes, context, customers.authenticate))
    feed = Feed(engines.accounts, context.settings.login_idle, cost_of_open_stakes)
    opening = betslips.StreamOpening(context, Streams(feed, most=settings.streams)).endpoint()
    app.register_blueprint(api.blueprint(v1.V1, [opening], settings, name="stream"))
    app.register_blueprint(limits.blueprint(context))


def _count(response: Response) -> Response:
    """Count an answer. Callbacks are counted where they are answered, because a worker's loop answers most of them."""
    part = request.blueprint or "unknown"
    if part != callbacks.CALLBACKS_API.name:
        REQUESTS.labels(part, str(response.status_code)).inc()
    return response


def _set_clock() -> None:
    """Set this process's clock from the request's test clock header, until the next request; for replays."""
    text = request.headers.get(TEST_CLOCK_HEADER)
    try:
        instant = None if text is None else clock.parse_instant(text)
    except ValueError:
        instant = None
    is_accepted = instant is not None and clock.FIRST_YEAR <= instant.year <= clock.LAST_YEAR
    clock.set_now(instant if is_accepted else None)


def _report_clock(response: Response) -> Response:
    if TEST_CLOCK_HEADER in request.headers:
        response.headers[TEST_CLOCK_HEADER] = clock.now().isoformat()
    return response
