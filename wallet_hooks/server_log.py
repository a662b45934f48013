"""gunicorn's own log, without what a request sent: its lines would hold tokens of paths, query strings and headers."""

from typing import Any

from gunicorn.glogging import Logger

_REFUSED = "Invalid request from ip="
_FAILED = "Error handling request"


class ServerLog(Logger):  # type: ignore[misc]
    """gunicorn's lines about its processes as they are, and about a request only from where it came."""

    def warning(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log a warning; that a request was not understood, without the part that was not."""
        if str(msg).startswith(_REFUSED):
            address, _, _ = msg.partition(": ")
            msg = f"{address}: not valid HTTP"
        super().warning(msg, *args, **kwargs)

    def exception(self, msg: str, *args: Any, **kwargs: Any) -> None:
        """Log an exception with its trace; that of a request without its path and query string."""
        if str(msg).startswith(_FAILED):
            msg, args = _FAILED, ()
        super().exception(msg, *args, **kwargs)
