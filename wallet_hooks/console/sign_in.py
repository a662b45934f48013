"""Signing in and out, and the audit trail."""

from urllib.parse import quote, urlencode

from wallet_hooks.console import audit, staff
from wallet_hooks.console.models import StaffAction
from wallet_hooks.console.rendering import Html, redirect, render
from wallet_hooks.console.texts import number, read_form
from wallet_hooks.console.visits import (
    BRAND_COOKIE,
    COOKIE,
    RECONCILE,
    SHOWN_BRAND,
    Console,
    Visit,
    check_same_site,
    session_token,
)
from wallet_hooks.database import reading, writing
from wallet_hooks.errors import NotFoundError, UnauthenticatedError
from wallet_hooks.sportsbook.messages import BetKey
from wallet_hooks.web.api import ApiRequest, Reply

_HOME = "/console/"
_OF_DELIVERIES = ("replay", "download_fixture")


def show_login(request: ApiRequest) -> Reply:
    """Show the form to sign in."""
    ended = "Your session had ended: nothing was done. Sign in, and send the form again."
    message = ended if request.query.get("ended") else ""
    return render(Html("login.html", {"message": message, "next": _inside(request.query.get("next", ""))}))


def log_in(console: Console, request: ApiRequest) -> Reply:
    """Begin a session, or show the form again."""
    check_same_site(request)
    form = read_form(request)
    following = _inside(form.get("next", ""))
    try:
        token = staff.sign_in(
            console.engine,
            username=form.get("username", ""),
            password=form.get("password", ""),
            code=form.get("code", "").replace(" ", ""),
            request=request,
        )
    except UnauthenticatedError as error:
        return render(Html("login.html", {"message": str(error), "next": following}, 401))
    if before := session_token(request):  # which the browser forgets now
        with writing(console.engine) as session:
            staff.sign_out(session, before)
    reply = redirect(following)
    reply.headers["Set-Cookie"] = _cookie(request, token)
    return reply


def log_out(visit: Visit) -> Reply:
    """End the session."""
    with writing(visit.console.engine) as session:
        staff.sign_out(session, visit.token)
        name = visit.member.username
        audit.record(session, "sign_out", name, {}, by=name, request=visit.request)
    reply = redirect("/console/login")
    reply.headers["Set-Cookie"] = _cookie(visit.request, "", "; Max-Age=0")
    return reply


def choose_brand(visit: Visit) -> Reply:
    """Show another brand from now on, where each brand has a schema."""
    name = visit.required("brand")
    if name not in visit.brands:
        raise NotFoundError("There is no such brand.")
    visit.brand = name
    return choose(visit, redirect(_HOME))


def choose(visit: Visit, reply: Reply) -> Reply:
    """Have the browser keep the visit's brand, so that later pages show it; return the reply."""
    if visit.brand is not None:
        reply.headers["Set-Cookie"] = _cookie(visit.request, quote(visit.brand, safe=""), name=BRAND_COOKIE)
    return reply


def show_actions(visit: Visit) -> Html:
    """Show what staff did, newest first."""
    given = {"who": visit.query("who"), "what": visit.query("what")}
    after = visit.query("after")
    with reading(visit.console.engine) as session:
        hidden = () if visit.may(RECONCILE) else audit.OF_RECONCILIATION
        found = audit.actions(session, **given, hidden=hidden, before=number(after, "page") if after else None)
    values = {"found": found, "given": given, "kinds": audit.KINDS, "address_of": _address_of}
    return Html("actions.html", values | {"shown": {name: value for name, value in given.items() if value}})


def _address_of(action: StaffAction) -> str | None:
    """Return the page of what an action was done to, None if it has none."""
    kind, _, id_ = action.subject.partition(" ")
    brand = action.details.get("brand")
    of_brand = "" if brand is None else f"?{urlencode({SHOWN_BRAND: brand})}"
    if kind == "exception":
        return f"/console/exceptions/{id_}{of_brand}"
    if kind == "run":
        return f"/console/reconciliation/{id_}{of_brand}"
    if action.action in _OF_DELIVERIES:
        return f"/console/deliveries/{action.subject}{of_brand}"
    if action.action.startswith("resettle") and action.subject.count(":") >= 2:
        game, client, uid = (quote(part, safe="") for part in BetKey.of_text(action.subject))
        return f"/console/wagers/{client}/{game}/{uid}"
    return None


def _inside(path: str) -> str:
    """Return a path of the console to go to after signing in; the first page for anything else."""
    parts = path.partition("?")[0].split("/")
    is_inside = path.startswith(_HOME) and path.isprintable() and "\\" not in path and ".." not in parts
    return path if is_inside else _HOME


def _cookie(request: ApiRequest, value: str, more: str = "", *, name: str = COOKIE) -> str:
    """Return a cookie: never for scripts or other sites; over HTTPS alone, except on this machine."""
    is_local = request.source.is_loopback and request.environ.get("wsgi.url_scheme") == "http"
    secure = "" if is_local else "; Secure"
    return f"{name}={value}; Path=/console; HttpOnly; SameSite=Strict{secure}{more}"
