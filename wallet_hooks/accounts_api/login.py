"""Login, keep-alive and logout as Betfair's clients call them: errors have HTTP 200 too, and a status in the body."""

from collections.abc import Callable

from sqlalchemy import Engine

from wallet_hooks.customers.callers import end_login, find_login
from wallet_hooks.customers.login import log_in
from wallet_hooks.errors import TryAgainError, UnauthenticatedError
from wallet_hooks.settings import Settings
from wallet_hooks.text_checks import is_storable
from wallet_hooks.web.api import ApiRequest, Problem, Reply
from wallet_hooks.web.exact_json import dumps
from wallet_hooks.web.forms import FORM, read_form
from wallet_hooks.web.source import network_of
from wallet_hooks.web.strict_json import InvalidJSONError
from wallet_hooks.web.throttle import Throttle
from wallet_hooks.web.token_guesses import looking_up_token

WRONG_PASSWORD = "INVALID_USERNAME_OR_PASSWORD"  # noqa: S105 - an error code
TOO_MANY = "TEMPORARY_BAN_TOO_MANY_REQUESTS"
NO_SESSION = "NO_SESSION"
UNREADABLE_FORM = "INPUT_VALIDATION_ERROR"


class Login:
    """Answers the three calls. Logins a second are capped for each source address in each worker process."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._idle = settings.login_idle
        self._throttle = Throttle(settings.accounts_logins_per_second)

    def log_in(self, request: ApiRequest) -> dict[str, str]:
        """Begin a session with a username and a password, with or without an application key."""
        source, address = request.source.text, request.source.address
        if not self._throttle.allows(None if address is None else network_of(address)):
            return _failed(request, TOO_MANY)
        form = _read_form(request.body(cap=16 * 1024, media_types=(FORM,), lenient=True))
        if form is None:
            return _failed(request, UNREADABLE_FORM)
        try:
            token = log_in(
                self._engine,
                username=form.get("username", ""),
                password=form.get("password", ""),
                source=source,
                now=request.now,
                idle=self._idle,
            )
        except UnauthenticatedError:
            return _failed(request, WRONG_PASSWORD)
        except TryAgainError:
            return _failed(request, TOO_MANY)
        return _succeeded(request, token)

    def keep_alive(self, request: ApiRequest) -> dict[str, str]:
        """Record the use of a login, so that it does not time out."""
        return self._done_with(find_login, request)

    def log_out(self, request: ApiRequest) -> dict[str, str]:
        """End the session."""
        return self._done_with(end_login, request)

    def _done_with(self, act: Callable[..., object], request: ApiRequest) -> dict[str, str]:
        """Return the answer to a request after `act` has used its token."""
        token = request.headers.get("X-Authentication", "")
        try:
            with looking_up_token(token, request.source.address):
                act(self._engine, token, now=request.now, idle=self._idle, otherwise=NO_SESSION)
        except UnauthenticatedError:  # or expired
            return _failed(request, NO_SESSION)
        return _succeeded(request, token)


def success(answer: dict[str, str]) -> Reply:
    """Return the reply with an answer's JSON."""
    return Reply(200, dumps(answer), code=answer["error"] or None)


def failure(problem: Problem) -> Reply:
    """Return the reply to an error: an unreadable form, or a database that does not answer."""
    error = TOO_MANY if problem.status in (429, 503) else UNREADABLE_FORM
    if problem.status in (404, 405, 500):
        return Reply(problem.status, dumps(_answer("", "", "FAIL", problem.code.upper())))
    return Reply(200, dumps(_answer("", "", "FAIL", error)))


def _read_form(body: bytes) -> dict[str, str] | None:
    """Return a form's fields; None where it cannot be read."""
    try:
        fields = read_form(body, most_fields=20)
    except InvalidJSONError:
        return None
    return fields if all(map(is_storable, fields.values())) else None


def _succeeded(request: ApiRequest, token: str) -> dict[str, str]:
    return _answer(token, request.headers.get("X-Application", ""), "SUCCESS", "")


def _failed(request: ApiRequest, error: str) -> dict[str, str]:
    return _answer("", request.headers.get("X-Application", ""), "FAIL", error)


def _answer(token: str, product: str, status: str, error: str) -> dict[str, str]:
    return {"token": token, "product": product, "status": status, "error": error}
