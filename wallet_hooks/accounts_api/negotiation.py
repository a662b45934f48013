"""Whether a caller accepts answers in JSON."""

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from wallet_hooks.accounts_api.errors import NOT_ACCEPTABLE, ProtocolError
from wallet_hooks.web.api import ApiRequest
from wallet_hooks.web.requests import JSON


def check_accept(request: ApiRequest) -> None:
    """Raise ProtocolError where the header Accept excludes JSON."""
    header = request.headers.get("Accept", "")
    if header and parse_accept_header(header, MIMEAccept).quality(JSON) <= 0:
        raise ProtocolError(NOT_ACCEPTABLE)
