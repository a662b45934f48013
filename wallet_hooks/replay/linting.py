"""Find what looks like a secret or personal data in fixtures."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from wallet_hooks.replay.bodies import decode_body, encode_body
from wallet_hooks.replay.fixture import Case

_HEXADECIMAL = "a signature or key"  # betslips' ids look like one
# Bounded, so that the time is proportional to the text's length.
_SECRETS = {
    "a JSON Web Token": re.compile(r"eyJ[A-Za-z0-9_-]{8,500}\.[A-Za-z0-9_-]"),
    "a bearer token": re.compile(r"[Bb]earer\s{1,9}(\S{1,100}\s{1,9})?[A-Za-z0-9_.~+/=-]{20}"),
    "basic credentials": re.compile(r"[Bb]asic\s+[A-Za-z0-9+/]{8,}={0,2}"),
    "a webhook signature": re.compile(r"\bv1[a]?,[A-Za-z0-9+/=]{20,}"),
    "a URL with a password": re.compile(r"[a-z]{1,20}://[^/\s:@]{1,200}:[^/\s:@]{1,500}@"),
    "a webhook secret": re.compile(r"whsec_[A-Za-z0-9+/=]{8,}"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
    "an AWS key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
    "an API key": re.compile(r"\b(sk|pk|rk)_(live|test)_[A-Za-z0-9]{8,}"),
    _HEXADECIMAL: re.compile(r"\b(?=[0-9a-fA-F]*[a-fA-F])(?=[0-9a-fA-F]*\d)[0-9a-fA-F]{32,}\b"),
    "an e-mail address": re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}\.[A-Za-z]{2}"),
}
_SECRET_NAMES = re.compile(
    r"pass(word|wd|phrase)|secret|api[-_]?key|private[-_]?key|authorization|cookie|credit[-_]?card|cvv|token|signature"
    r"|session[-_]?id|^(x-)?session$|iban",
    re.IGNORECASE,
)
_CARD = re.compile(r"\b\d(?:[ -]?\d){12,18}\b|\b\d{4}(?:\.\d{4}){3}\b")


def find_secrets(case: Case) -> Iterator[str]:
    """Yield a line per value that looks like a secret: its path and what it looks like, never the secret itself."""
    holders = [(request, "body") for request in (case.request, *case.given.get("requests", ()))]
    holders += [(betslip, "messages") for betslip in case.given.get("betslips", ())]
    encoded = [(holder, name) for holder, name in holders if holder.get(f"{name}_b64") is not None]
    decoded = [encode_body(holder, name).decode(errors="replace") for holder, name in encoded]
    documents = [decode_body(holder, name) for holder, name in encoded]
    queries = [dict(parse_qsl(one["path"].partition("?")[2])) for one, name in holders if name == "body"]
    for path, name, value in _strings({**case.document, "body_b64": [*decoded, *documents], "path": queries}, ()):
        where = ".".join(map(str, path))
        if name is not None and _SECRET_NAMES.search(name):
            yield f"{where}: named like a secret"
        for what, pattern in _SECRETS.items():
            if pattern.search(value) and not (name == "betslip_id" and what == _HEXADECIMAL):
                yield f"{where}: looks like {what}"
        if any(_is_card(found) for found in _CARD.findall(value)):
            yield f"{where}: looks like a card number"


def _strings(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str | None, str]]:
    """Yield each string with its path and the name of the member that contains it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name), name if isinstance(inner, dict | list) else None, name
            yield from _strings(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _strings(inner, (*path, number))
    elif value is not None:
        name = next((step for step in reversed(path) if isinstance(step, str)), None)
        yield path, name, value if isinstance(value, str) else json.dumps(value)


def _is_card(text: str) -> bool:
    """Check Luhn's checksum and the first digit of payment cards."""
    digits = [int(char) for char in text if char.isdigit()]
    is_of_the_2_series = len(digits) == 16 and 2221 <= int("".join(map(str, digits[:4]))) <= 2720
    if digits[0] not in (3, 4, 5, 6) and not is_of_the_2_series:
        return False
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
