"""A visit: a request of a member of staff, with what its page works with. Checks the session, the role and the form."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy import Engine
from sqlalchemy.orm import Session
from werkzeug.http import parse_cookie

from wallet_hooks.console import audit, staff
from wallet_hooks.console.exporting import Exports
from wallet_hooks.console.staff import Member
from wallet_hooks.console.texts import checked, visible
from wallet_hooks.console.uploads import Upload
from wallet_hooks.database import brand_engine, has_brand_schemas
from wallet_hooks.database.brands import brand_ids
from wallet_hooks.errors import ForbiddenError, NotFoundError, RefusedError, UnauthenticatedError
from wallet_hooks.finance.general_ledger import AccountCodes
from wallet_hooks.settings import Settings
from wallet_hooks.web.api import ApiRequest
from wallet_hooks.web.countries import Countries
from wallet_hooks.web.fields import LONGEST_REASON
from wallet_hooks.web.token_guesses import looking_up_token

COOKIE = "wallet_hooks_console"
BRAND_COOKIE = "wallet_hooks_console_brand"
SHOWN_BRAND = "shown_brand"  # the field or parameter that names the brand of a page
SEE, REPLAY, RECONCILE, DECIDE = "see", "replay", "reconcile", "decide"
PERMISSIONS: Mapping[str, frozenset[str]] = {
    "operations": frozenset({SEE, REPLAY, RECONCILE, DECIDE}),
    "finance": frozenset({SEE, RECONCILE, DECIDE}),
    "qa": frozenset({SEE, REPLAY}),
}


@dataclass(frozen=True, kw_only=True)
class Console:
    """What the pages work with. `reports` is the database for reports, which may be a replica."""

    engine: Engine
    reports: Engine
    settings: Settings
    codes: AccountCodes
    countries: Countries
    exports: Exports

    @property
    def idle(self) -> timedelta:
        """How long a session may be unused."""
        return timedelta(seconds=self.settings.console_idle)


@dataclass
class Visit:
    """A request of a signed-in member of staff. `form` has the fields that were sent, `upload` the file.

    Where each brand has a schema, a page shows one brand: `brand` of `brands`, which are ids by client name.
    """

    console: Console
    request: ApiRequest
    token: str
    member: Member
    brand: str | None = None
    brands: Mapping[str, int] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    upload: Upload | None = None

    @property
    def engine(self) -> Engine:
        return self._of_brand(self.console.engine)

    @property
    def reports(self) -> Engine:
        return self._of_brand(self.console.reports)

    @property
    def csrf_token(self) -> str:
        """The token that each form of the session sends; pages of other sites cannot know it."""
        return csrf_token(self.token)

    def _of_brand(self, engine: Engine) -> Engine:
        if self.brand is not None:
            return brand_engine(engine, self.brands[self.brand])
        if has_brand_schemas(engine):
            raise RefusedError("no_brand", "There is no brand yet.")
        return engine

    def may(self, permission: str) -> bool:
        return permission in PERMISSIONS[self.member.role]

    def query(self, name: str) -> str:
        """Return a parameter after the path, without white space around it; empty if it is absent."""
        return checked(self.request.query.get(name, "")).strip()

    def required(self, name: str, *, most: int = 1000) -> str:
        """Return a required field of the form. Raises RefusedError if it is absent, empty or too long."""
        value = self.form.get(name, "").strip().replace("\r\n", "\n")
        if not 0 < len(value) <= most:
            raise RefusedError("bad_field", f"{name}: {len(value)} characters; 1 to {most} are accepted")
        return visible(value, name)

    def reason(self) -> str:
        """Return why the member of staff acts. Raises RefusedError."""
        return self.required("reason", most=LONGEST_REASON)

    def optional(self, name: str, *, most: int) -> str | None:
        """Return an optional field of the form; None if it is absent or empty. Raises RefusedError for a long one."""
        return self.required(name, most=most) if self.form.get(name, "").strip() else None

    def record(self, session: Session, action: str, subject: str, **details: object) -> None:
        """Add an action of this member to the audit trail, with the brand where each has a schema."""
        of_brand = {} if self.brand is None else {"brand": self.brand}
        audit.record(session, action, subject, details | of_brand, by=self.member.username, request=self.request)


def visit_of(console: Console, request: ApiRequest, client: str | None = None) -> Visit:
    """Return the visit of a signed-in member of staff; `client` is the brand that the address names.

    If it names none, the one that was chosen before is shown, or else the first. Raises UnauthenticatedError, and
    NotFoundError where each brand has a schema and the named one has none.
    """
    token = session_token(request)
    if not token:
        raise UnauthenticatedError("not signed in")
    with looking_up_token(token, request.source.address):
        member = staff.find_member(console.engine, token, now=request.now, idle=console.idle)
    brands = brand_ids(console.engine)
    if client and brands and client not in brands:
        raise NotFoundError(f"no brand {client}")
    chosen = client or unquote(_cookie(request, BRAND_COOKIE))
    brand = chosen if chosen in brands else next(iter(brands), None)
    return Visit(console, request, token, member, brand, brands)


def address_of(request: ApiRequest) -> str:
    """Return the request's path and parameters as they were sent: decoded, an id in them may be another one."""
    environ = request.environ
    if raw := environ.get("RAW_URI"):
        return str(raw)
    query = environ.get("QUERY_STRING", "")
    return quote(environ["PATH_INFO"], encoding="latin-1") + (f"?{query}" if query else "")


def session_token(request: ApiRequest) -> str:
    """Return the token of the request's cookie; empty without one."""
    return _cookie(request, COOKIE)


def _cookie(request: ApiRequest, name: str) -> str:
    """Return a cookie's value; empty if it is missing, or the header is not UTF-8."""
    try:
        return parse_cookie(request.headers.get("Cookie")).get(name, "")
    except UnicodeDecodeError:
        return ""


def csrf_token(token: str) -> str:
    return hmac.new(token.encode(errors="replace"), b"csrf", sha256).hexdigest()


def check_csrf(visit: Visit, form: Mapping[str, str]) -> None:
    """Raise ForbiddenError unless the form has the session's token."""
    if not hmac.compare_digest(form.get("csrf_token", "").encode(errors="replace"), visit.csrf_token.encode()):
        raise ForbiddenError("The form has no valid token. Open the page again, and send the form from there.")


def check_brand(visit: Visit) -> None:
    """Raise RefusedError if the form is of another brand's page than is shown now: in another tab, it was chosen."""
    shown = visit.form.get(SHOWN_BRAND, visit.brand)
    if shown != visit.brand:
        message = (
            f"Nothing was done: the page was of brand {shown}, and {visit.brand} is shown now. Choose {shown} again."
        )
        raise RefusedError("other_brand", message)


def check_same_site(request: ApiRequest) -> None:
    """Raise ForbiddenError if a page of another site sent the form, as far as the browser tells."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        is_ours = site in ("same-origin", "none")
    else:  # an old browser, or a program
        is_ours = origin is None or _host_of(origin) == request.headers.get("Host")
    if not is_ours:
        raise ForbiddenError("The form was sent by another site.")


def _host_of(address: str) -> str | None:
    """Return host and port of an address; None if it is not one."""
    try:
        return urlsplit(address).netloc
    except ValueError:
        return None
