"""Turns pages into HTML. Templates escape every value; amounts come in as decimal strings, instants as UTC."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from wallet_hooks import clock, money
from wallet_hooks.console.statistics import answer_kind
from wallet_hooks.console.visits import DECIDE, RECONCILE, REPLAY, SHOWN_BRAND, Visit
from wallet_hooks.web.api import Reply

_HTML = "text/html; charset=utf-8"
# Scripts and styles come from this service alone, and none are inline.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_STATIC_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
# What was done before the page was opened again, by the parameter `done`.
_NOTICES = {
    "closed": "The days are closed and sealed.",
    "reopened": "The days are open again. Their seals stay on record.",
    "resettled": "The wager is settled again.",
    "resettlement_requested": "The resettlement waits for a second person.",
    "resettlement_approved": "The wager is settled again.",
    "resettlement_rejected": "The resettlement is rejected.",
    "commented": "The comment is added.",
    "resolved": "The exception is resolved.",
    "reconciled": "The report was matched.",
}
_NAVIGATION = (
    ("/console/", "Overview", ""),
    ("/console/deliveries", "Deliveries", ""),
    ("/console/customers", "Customers", ""),
    ("/console/ledger", "Ledger", ""),
    ("/console/reports", "Reports", ""),
    ("/console/reconciliation", "Reconciliation", RECONCILE),
    ("/console/exceptions", "Exceptions", ""),
    ("/console/actions", "Audit trail", ""),
)


@dataclass(frozen=True)
class Html:
    """A page: its template, the values in it, and its status."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


def redirect(path: str, **query: str) -> Reply:
    """Return an answer that makes the browser open a page of the console."""
    target = f"{path}?{urlencode(query)}" if query else path
    return Reply(303, "", _HTML, {**_HEADERS, "Location": target})


def render(page: Html, visit: Visit | None = None) -> Reply:
    """Return a page as an answer. Without a visit it has no navigation."""
    values = {"visit": visit, "navigation": _navigation(visit), **page.values}
    body = _templates.get_template(page.template).render(values)
    return Reply(page.status, body, _HTML, dict(_HEADERS))


def static_file(name: str) -> Reply | None:
    """Return a file that pages load; its address changes with its content, so that browsers may keep it."""
    found = _static.get(name)
    if found is None:
        return None
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Reply(200, [found], _STATIC_TYPES[name[name.rindex(".") :]], headers)


def _path(visit: Visit | None) -> str:
    return "" if visit is None else str(visit.request.environ.get("PATH_INFO", ""))


def _navigation(visit: Visit | None) -> list[tuple[str, str, bool]]:
    """Return address, name and whether it is the page's section, of the sections that the role sees."""
    if visit is None:
        return []
    path = _path(visit)
    found = []
    for address, name, permission in _NAVIGATION:
        if not permission or visit.may(permission):
            is_current = path.rstrip("/") == "/console" if address == "/console/" else path.startswith(address)
            found.append((address, name, is_current))
    return found


def _instant(value: datetime | str | None) -> Markup:
    """Show an instant to the second with its zone; the exact one is in the element's attribute."""
    if value is None:
        return Markup("–")
    instant = clock.parse_instant(value) if isinstance(value, str) else value.astimezone(UTC)
    return Markup('<time datetime="{}">{} UTC</time>').format(instant.isoformat(), f"{instant:%Y-%m-%d %H:%M:%S}")


def _amount(minor: int | None, currency: str | None) -> str:
    return "" if minor is None or currency is None else money.format_amount(minor, currency)


def _words(name: str) -> str:
    """Show a code such as `insufficient_funds` as words."""
    if name == "ggr":
        return "GGR"
    return name.replace("_", " ").replace("-", " ").capitalize()


def _path_part(text: str) -> str:
    return quote(text, safe="")


def _static_url(name: str) -> str:
    return f"/console/static/{name}?{sha256(_static[name]).hexdigest()[:12]}"


def _read_static() -> dict[str, bytes]:
    directory = files("wallet_hooks.console").joinpath("static")
    names = ("console.css", "vendor/htmx.min.js", "vendor/pico.min.css")
    return {name: directory.joinpath(name).read_bytes() for name in names}


_static = _read_static()
_templates = Environment(
    loader=PackageLoader("wallet_hooks.console"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
    lstrip_blocks=True,
)  # fmt: skip


@pass_context
def _csrf(context: Context) -> Markup:
    """Return the hidden fields that each form needs."""
    visit: Visit = context["visit"]
    field = Markup('<input type="hidden" name="{}" value="{}">')
    of_brand = "" if visit.brand is None else field.format(SHOWN_BRAND, visit.brand)
    return field.format("csrf_token", visit.csrf_token) + of_brand


@pass_context
def _next_page(context: Context, shown: Mapping[str, str], after: str) -> str:
    """Return the parameters of the next page, which is of the same brand, whatever was chosen in another tab."""
    visit: Visit = context["visit"]
    of_brand = {} if visit.brand is None else {SHOWN_BRAND: visit.brand}
    return urlencode({**shown, **of_brand, "after": after})


_templates.filters |= {"instant": _instant, "amount": _amount, "words": _words, "part": _path_part}
_templates.globals |= {
    "static": _static_url, "csrf": _csrf, "notice": _NOTICES.get, "query": _next_page, "answer_kind": answer_kind,
    "DECIDE": DECIDE, "REPLAY": REPLAY,
}  # fmt: skip
