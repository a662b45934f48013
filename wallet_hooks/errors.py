"""Errors of the domain. An error has a code, never an HTTP status; the APIs map codes to statuses."""


class WalletHooksError(Exception):
    """An error that may be shown to the caller: `code` is for programs, the message for users."""

    code = "error"


class TryAgainError(WalletHooksError):
    """A transient fault: the work is not known to be done, and a retry may succeed."""

    code = "try_again"


class ConflictError(WalletHooksError):
    """A key (reference, id or idempotency key) was used before with other facts."""

    code = "conflict"


class RefusedError(WalletHooksError):
    """A business rule refuses the request; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(WalletHooksError):
    """The caller is authenticated but not authorized."""

    code = "forbidden"


class UnauthenticatedError(WalletHooksError):
    """The caller is not authenticated."""

    code = "unauthenticated"


class SessionEndedError(UnauthenticatedError):
    """The caller's login or token is known, but was ended, or its holder may not log in any more."""


class SessionExpiredError(SessionEndedError):
    """The caller's login ended because it was idle too long."""

    code = "session_expired"


class NotFoundError(WalletHooksError):
    """The requested resource does not exist."""

    code = "not_found"
