"""Whether a caller accepts answers in JSON."""

import re

from wallet_hooks.accounts_api.errors import NOT_ACCEPTABLE, ProtocolError
from wallet_hooks.web.api import ApiRequest

_ZERO = re.compile(r"\s*q\s*=\s*0(\.0{0,3})?\s*", re.ASCII)
_RANGES = ("application/json", "application/*", "*/*")  # the most specific one decides


def check_accept(request: ApiRequest) -> None:
    """Raise ProtocolError where the header Accept excludes JSON. Parameters other than q are ignored."""
    header = request.headers.get("Accept", "")
    excluded: dict[str, bool] = {}
    for one in header.split(","):
        name, *parameters = one.split(";")
        excluded[name.strip().lower()] = any(_ZERO.fullmatch(parameter) for parameter in parameters)
    if header.strip() and next((excluded[name] for name in _RANGES if name in excluded), True):
        raise ProtocolError(NOT_ACCEPTABLE)
