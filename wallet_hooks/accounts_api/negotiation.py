"""Whether a caller accepts answers in JSON."""

import re
from collections.abc import Sequence

from wallet_hooks.accounts_api.errors import NOT_ACCEPTABLE, ProtocolError
from wallet_hooks.web.api import ApiRequest
from wallet_hooks.web.requests import JSON

_ZERO = re.compile(r"\s*q\s*=\s*0(\.0{0,3})?\s*", re.ASCII)
_RANGES = ("application/*", "*/*")


def check_accept(request: ApiRequest, media_types: Sequence[str] = (JSON,)) -> None:
    """Raise ProtocolError where the header Accept excludes JSON, under all its names. Parameters but q are ignored."""
    header = request.headers.get("Accept", "")
    excluded: dict[str, bool] = {}  # of its ranges, the most specific one decides
    for one in header.split(","):
        name, *parameters = one.split(";")
        excluded[name.strip().lower()] = any(_ZERO.fullmatch(parameter) for parameter in parameters)
    if header.strip() and next((excluded[name] for name in (*media_types, *_RANGES) if name in excluded), True):
        raise ProtocolError(NOT_ACCEPTABLE)
