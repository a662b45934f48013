"""The console's addresses: which page or action each is, and which permission it needs."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import Blueprint, request
from sqlalchemy import Engine

from wallet_hooks.console import (
    customers,
    deliveries,
    exceptions,
    ledger,
    overview,
    reconciliation,
    reports,
    sign_in,
    uploads,
    wagers,
)
from wallet_hooks.console.exporting import Exports
from wallet_hooks.console.rendering import Html, redirect, render, static_file
from wallet_hooks.console.texts import checked, read_form
from wallet_hooks.console.visits import (
    DECIDE,
    RECONCILE,
    REPLAY,
    SEE,
    SHOWN_BRAND,
    Console,
    Visit,
    address_of,
    check_brand,
    check_csrf,
    visit_of,
)
from wallet_hooks.errors import ForbiddenError, NotFoundError, UnauthenticatedError
from wallet_hooks.finance.general_ledger import AccountCodes
from wallet_hooks.settings import Settings, TimeOuts
from wallet_hooks.web import api
from wallet_hooks.web.api import Api, ApiRequest, Endpoint, Problem, Reply
from wallet_hooks.web.countries import Countries

PREFIX = "/console"
_MESSAGES = {
    400: "This request is not valid.",
    403: "Your role may not do this.",
    404: "There is no such page.",
    405: "This method is not allowed here.",
    413: "The form or file is too large.",
    500: "Internal error. It is logged under the id in the header X-Request-Id.",
    503: "The database is busy or not available. Try again.",
}


class Page(NamedTuple):
    """A page (GET) or an action (POST): its view, and the permission that it needs."""

    method: str
    path: str
    view: Callable[..., Html | Reply]
    permission: str = SEE
    takes_file: bool = False
    is_of_brand: bool = True


PAGES = (
    Page("GET", "/", overview.show),
    Page("GET", "/deliveries", deliveries.search),
    Page("GET", "/deliveries/<id_>", deliveries.show),
    Page("GET", "/deliveries/<id_>/fixture", deliveries.fixture),
    Page("POST", "/deliveries/<id_>/replay", deliveries.replay_now, REPLAY),
    Page("GET", "/customers", customers.search),
    Page("GET", "/customers/<client>/<whole:uid>", customers.show),
    Page("GET", "/wagers/<client>/<game>/<whole:uid>", wagers.show),
    Page("POST", "/wagers/<client>/<game>/<whole:uid>/resettle", wagers.resettle, DECIDE),
    Page("POST", "/wagers/<client>/<game>/<whole:uid>/decide", wagers.decide, DECIDE),
    Page("GET", "/ledger", ledger.show),
    Page("GET", "/ledger/trial-balance", ledger.trial_balance),
    Page("GET", "/ledger/accounts/<id_>", ledger.account),
    Page("GET", "/ledger/transactions/<id_>", ledger.transaction),
    Page("POST", "/ledger/close", ledger.close, DECIDE),
    Page("POST", "/ledger/reopen", ledger.reopen, DECIDE),
    Page("GET", "/reports", reports.show_list),
    Page("GET", "/reports/open-stakes-by-age", reports.open_stakes),
    Page("GET", "/reports/<report>", reports.show),
    Page("POST", "/reports/<report>/export", reports.export),
    Page("GET", "/exports/<id_>", reports.show_export),
    Page("GET", "/exports/<id_>/<file>", reports.download),
    Page("GET", "/reconciliation", reconciliation.show_list, RECONCILE),
    Page("POST", "/reconciliation", reconciliation.upload, RECONCILE, takes_file=True),
    Page("GET", "/reconciliation/<id_>", reconciliation.show, RECONCILE),
    Page("GET", "/reconciliation/<id_>/breaks.csv", reconciliation.download, RECONCILE),
    Page("GET", "/exceptions", exceptions.show_list),
    Page("GET", "/exceptions/<id_>", exceptions.show),
    Page("POST", "/exceptions/<id_>/comment", exceptions.comment, DECIDE),
    Page("POST", "/exceptions/<id_>/resolve", exceptions.resolve, DECIDE),
    Page("GET", "/actions", sign_in.show_actions),
    Page("POST", "/brand", sign_in.choose_brand, is_of_brand=False),
    Page("POST", "/logout", sign_in.log_out, is_of_brand=False),
)


def blueprint(
    engine: Engine, reports_engine: Engine, settings: Settings, codes: AccountCodes, countries: Countries
) -> Blueprint:
    """Return the console. `reports_engine` is the database for reports, which may be a replica."""
    console = Console(
        engine=engine, reports=reports_engine, settings=settings, codes=codes, countries=countries,
        exports=Exports(settings),
    )  # fmt: skip
    return api.blueprint(CONSOLE, _endpoints(console), settings)


def _endpoints(console: Console) -> Iterable[Endpoint]:
    for page in PAGES:
        name = f"{page.view.__module__.rpartition('.')[2]}_{page.view.__name__}"
        # What staff changes, and a report that is matched, take as long as they need.
        time_outs = _page_time_outs if page.method == "GET" else None
        yield Endpoint(page.method, PREFIX + page.path, name, _answer_of(console, page), time_outs=time_outs)
    yield Endpoint("GET", f"{PREFIX}/login", "login", sign_in.show_login)
    yield Endpoint("POST", f"{PREFIX}/login", "log_in", lambda request: sign_in.log_in(console, request))
    yield Endpoint("GET", f"{PREFIX}/static/<path:file>", "static", _static)


def _page_time_outs(settings: Settings) -> TimeOuts:
    return settings.page_time_outs


def _answer_of(console: Console, page: Page) -> Callable[..., Reply]:
    def answer(request: ApiRequest, **path: str) -> Reply:
        named = path.get("client") or request.query.get(SHOWN_BRAND)
        try:
            visit = visit_of(console, request, named)
        except UnauthenticatedError:
            return _ask_to_sign_in(page, request)
        if not visit.may(page.permission):
            raise ForbiddenError(f"The role {visit.member.role} may not do this.")
        found = _view(page, visit, {name: checked(value) for name, value in path.items()})
        if not isinstance(found, Html):
            return found
        reply = render(found, visit)
        if named is not None and not _is_part_of_page(request):
            sign_in.choose(visit, reply)  # the page's links lead to pages of its brand
        return reply

    return answer


def _is_part_of_page(request: ApiRequest) -> bool:
    """Return whether a page has sent the request by itself, to show the answer as a part of it."""
    return "HX-Request" in request.headers


def _ask_to_sign_in(page: Page, request: ApiRequest) -> Reply:
    if page.method == "GET":
        reply = redirect(f"{PREFIX}/login", next=address_of(request))
        if _is_part_of_page(request):  # the form to sign in is to be shown instead of the page
            reply.status, reply.headers["HX-Redirect"] = 200, reply.headers.pop("Location")
        return reply
    if page.view is sign_in.log_out:
        return redirect(f"{PREFIX}/login")
    return redirect(f"{PREFIX}/login", ended="yes", next=_page_before() or f"{PREFIX}/")


def _view(page: Page, visit: Visit, path: dict[str, str]) -> Html | Reply:
    """Return what the view returns; the form of an action is received and checked before."""
    if page.method == "GET":
        return page.view(visit, **path)
    if not page.takes_file:
        visit.form = read_form(visit.request)
        check_csrf(visit, visit.form)
        if page.is_of_brand:
            check_brand(visit)
        return page.view(visit, **path)
    with uploads.received(visit.request, partial(check_csrf, visit)) as upload:
        visit.form, visit.upload = upload.fields, upload
        check_brand(visit)
        return page.view(visit, **path)


def _static(_: ApiRequest, file: str) -> Reply:
    found = static_file(file)
    if found is None:
        raise NotFoundError("no such file")
    return found


def _failure(problem: Problem) -> Reply:
    message = problem.message or _MESSAGES.get(problem.status, "This request was refused.")
    values = {"message": message, "status": problem.status, "back": _page_before()}
    return render(Html("problem.html", values, problem.status))


def _page_before() -> str | None:
    """Return the address of the console's page that the request came from, if the browser tells."""
    try:
        parts = urlsplit(request.headers.get("Referer", ""))
    except ValueError:
        return None
    if parts.netloc != request.host or not parts.path.startswith(f"{PREFIX}/") or request.method == "GET":
        return None
    # Without the notice of what was done before.
    query = urlencode([(name, value) for name, value in parse_qsl(parts.query) if name != "done"])
    return f"{parts.path}?{query}" if query else parts.path


CONSOLE = Api(name="console", prefix=PREFIX, failure=_failure)
