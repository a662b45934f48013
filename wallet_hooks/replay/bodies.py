"""Bodies in fixtures: a JSON member where that is sent as an equal document, else a member `…_b64` of exact bytes."""

import base64
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any

from wallet_hooks.web.strict_json import is_deep


def encode_body(holder: Mapping[str, Any], name: str = "body") -> bytes:
    """Return the bytes of a request's body as they are sent; or those of another member."""
    encoded = holder.get(f"{name}_b64")
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    if holder.get(name) is None:
        return b""
    return json.dumps(holder[name], ensure_ascii=False, separators=(",", ":")).encode()


def decode_body(holder: Mapping[str, Any], name: str = "body") -> Any:
    """Return the JSON of a body, or None if it is not JSON. Fractions in `body_b64` become strings."""
    if holder.get(f"{name}_b64") is None:
        return holder.get(name)
    try:
        return json.loads(
            encode_body(holder, name).decode("utf-8-sig"), parse_float=str, parse_constant=reject_constant
        )
    except (ValueError, RecursionError):
        return None


def body_member(body: bytes, name: str = "body") -> dict[str, Any]:
    """Return the member for which `encode_body` returns an equal document, numbers with the same digits."""
    try:
        document = json.loads(
            body.decode(),
            object_pairs_hook=reject_duplicate_keys,
            parse_int=partial(_parse_exact, int),
            parse_float=partial(_parse_exact, float),
            parse_constant=reject_constant,
        )
        json.dumps(document, ensure_ascii=False).encode()  # fails for a lone surrogate
        if is_deep(body, document):
            document = None
    except (ValueError, RecursionError):
        document = None
    return {f"{name}_b64": base64.b64encode(body).decode()} if document is None else {name: document}


def reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object. Raises ValueError for a duplicate key: one of its values would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} twice in an object")
    return found


def reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


def parse_float(number: str) -> float:
    """Return a float that is written with the same value again. Raises ValueError if there is none."""
    parsed = float(number)
    try:
        is_same = Decimal(repr(parsed)) == Decimal(number)
    except ArithmeticError:  # its exponent is out of any range
        is_same = False
    if not is_same:
        raise ValueError(f"the number {number} cannot be kept exactly: in a body, give its bytes as body_b64")
    return parsed


def _parse_exact(read: Callable[[str], float], number: str) -> float:
    """Return a number that is written with the same digits again. Raises ValueError if there is none."""
    parsed = read(number)
    if repr(parsed) != number:
        raise ValueError(f"{number} cannot be written with the same digits")
    return parsed
