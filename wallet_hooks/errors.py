"""What can go wrong below the edges. An error carries a code of the domain, never an HTTP status."""


class WalletHooksError(Exception):
    """An error that a caller can be told: `code` for programs, the message for people."""

    code = "error"


class TryAgainError(WalletHooksError):
    """A passing fault: nothing was done, and the same request may succeed later."""

    code = "try_again"


class ConflictError(WalletHooksError):
    """A key that was used before came with other facts."""

    code = "conflict"


class RefusedError(WalletHooksError):
    """A rule of the business says no; `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ForbiddenError(WalletHooksError):
    """The caller is known, and may not do this."""

    code = "forbidden"


class UnauthenticatedError(WalletHooksError):
    """Nobody has proven to be the caller."""

    code = "unauthenticated"


class SessionExpiredError(UnauthenticatedError):
    """The caller's session was not used for too long."""

    code = "session_expired"


class NotFoundError(WalletHooksError):
    """What was named does not exist."""

    code = "not_found"
