"""Signing in and out, and the audit trail."""

from urllib.parse import urlsplit

from wallet_hooks.console import audit, staff
from wallet_hooks.console.rendering import Html, redirect, render
from wallet_hooks.console.texts import number, read_form
from wallet_hooks.console.visits import COOKIE, Console, Visit, check_same_site
from wallet_hooks.database import reading
from wallet_hooks.errors import UnauthenticatedError
from wallet_hooks.web.api import ApiRequest, Reply

_HOME = "/console/"


def show_login(request: ApiRequest) -> Reply:
    """Show the form to sign in."""
    return render(Html("login.html", {"message": "", "next": _inside(request.query.get("next", ""))}))


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
    reply = redirect(following)
    reply.headers["Set-Cookie"] = _cookie(request, token)
    return reply


def log_out(visit: Visit) -> Reply:
    """End the session."""
    staff.sign_out(visit.engine, visit.token)
    reply = redirect("/console/login")
    reply.headers["Set-Cookie"] = _cookie(visit.request, "", "; Max-Age=0")
    return reply


def show_actions(visit: Visit) -> Html:
    """Show what staff did, newest first."""
    after = visit.query("after")
    with reading(visit.engine) as session:
        found = audit.actions(session, before=number(after, "page") if after else None)
    return Html("actions.html", {"found": found})


def _inside(path: str) -> str:
    """Return a path of the console to go to after signing in; the first page for anything else."""
    parts = urlsplit(path)
    is_inside = not parts.scheme and not parts.netloc and path.isprintable()
    return path if is_inside and path.startswith(_HOME) and "\\" not in path else _HOME


def _cookie(request: ApiRequest, token: str, more: str = "") -> str:
    """Return the session's cookie: never for scripts or other sites; over HTTPS alone, except on this machine."""
    is_local = request.source.is_loopback and request.environ.get("wsgi.url_scheme") == "http"
    secure = "" if is_local else "; Secure"
    return f"{COOKIE}={token}; Path=/console; HttpOnly; SameSite=Strict{secure}{more}"
