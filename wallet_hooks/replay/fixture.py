"""Fixtures: cases as they are written down, one a JSON file, or one a line of a capture (.jsonl, .jsonl.gz)."""

import base64
import binascii
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.exceptions import best_match

from wallet_hooks.files import replace_atomically

VERSION = 1
CAPTURES = (".jsonl", ".jsonl.gz")
_LONGEST_VALUE = 80
_WIDTH = 100
_LONGEST_LINE = 16 * 1024 * 1024


class FixtureError(Exception):
    """A fixture is none: the message says what is wrong, `where` is its file and line."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")


class Case(NamedTuple):
    """A case: where it is written (file and line), and what it says, which fits the schema."""

    path: Path
    line: int
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def where(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def at(self) -> datetime | None:
        return read_instant(self.document.get("at"))

    @property
    def given(self) -> dict[str, Any]:
        given: dict[str, Any] = self.document.get("given", {})
        return given

    @property
    def request(self) -> dict[str, Any]:
        request: dict[str, Any] = self.document["request"]
        return request

    @property
    def expect(self) -> dict[str, Any]:
        expect: dict[str, Any] = self.document["expect"]
        return expect

    @property
    def tags(self) -> list[str]:
        tags: list[str] = self.document.get("tags", [])
        return tags


class Sequence(NamedTuple):
    """Cases that share a database, in their order: those of a capture, or a single one."""

    path: Path
    cases: list[Case]


def read_sequences(paths: Iterable[Path]) -> Iterator[Sequence]:
    """The cases of files, and of all files below directories, in the order of their names. Raises FixtureError."""
    for path in paths:
        for file in _files(path):
            cases = list(read_cases(file))
            if is_capture(file):
                yield Sequence(file, cases)
            else:
                yield from (Sequence(file, [case]) for case in cases)


def read_cases(path: Path) -> Iterator[Case]:
    """Raises FixtureError, which names the line, for what is not JSON or does not fit the schema."""
    for line, text in _texts(path):
        yield _read(path, line, text)


def is_capture(path: Path) -> bool:
    return path.name.endswith(CAPTURES)


def write_cases(path: Path, documents: Iterable[Mapping[str, Any]]) -> int:
    """Write a capture, or the one case of a .json file. Returns how many there were."""
    count = 0
    with replace_atomically(path) as whole, _packed(path, whole) as file:
        for document in documents:
            file.write(f"{_flat(document) if is_capture(path) else _readable(document)}\n".encode())
            count += 1
    return count


def body_of(request: Mapping[str, Any]) -> bytes:
    """The bytes that are sent."""
    encoded = request.get("body_b64")
    if encoded is not None:
        return base64.b64decode(encoded, validate=True)
    if request.get("body") is None:
        return b""
    return json.dumps(request["body"], ensure_ascii=False, separators=(",", ":")).encode()


def document_of(request: Mapping[str, Any]) -> Any:
    """The JSON that a request carries, fractions as texts where it is kept as bytes; None for what is no JSON."""
    if request.get("body_b64") is None:
        return request.get("body")
    try:
        return json.loads(body_of(request).decode("utf-8-sig"), parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def bets_of(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bets that a request speaks of, as far as they can be made out: brand, game, bet, user."""
    body = document_of(request)
    found = []
    for pool, item in _items(body if isinstance(body, dict) else {}):
        user, bet = item.get("user"), item.get("bet")
        if isinstance(user, dict) and isinstance(bet, dict) and isinstance(pool, dict):
            facts = {
                "brand": user.get("client"),
                "game": pool.get("game"),
                "bet": bet.get("uid"),
                "user": user.get("uid"),
            }
            found.append({key: str(value) for key, value in facts.items()})
    return found


def addresses_of(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The addresses that a request's bets say they come from, each with the bet's brand."""
    body = document_of(request)
    users = (item.get("user") for _, item in _items(body if isinstance(body, dict) else {}))
    places = ((user.get("client"), user.get("ip")) for user in users if isinstance(user, dict))
    return [(client, ip) for client, ip in places if isinstance(client, str) and isinstance(ip, str)]


def _items(body: Mapping[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    bets, pools = body.get("bets"), body.get("pools")
    for item in bets if isinstance(bets, list) else ():
        if isinstance(item, dict):
            yield item.get("pool"), item
    for coupon in pools if isinstance(pools, list) else ():
        inner = coupon.get("bets") if isinstance(coupon, dict) else None
        for item in inner if isinstance(inner, list) else ():
            if isinstance(item, dict):
                yield coupon.get("pool"), item


def read_instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


@cache
def schema() -> dict[str, Any]:
    """The published JSON Schema of a case."""
    document: dict[str, Any] = json.loads(
        files("wallet_hooks.replay").joinpath("fixture.schema.json").read_text("utf-8")
    )
    return document


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def _readable(value: Any, indent: int = 0) -> str:
    """JSON for people: what fits on a line is on one."""
    flat = _flat(value)
    if indent + len(flat) <= _WIDTH or not value or not isinstance(value, dict | list):
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        items = [f"{inner}{_flat(name)}: {_readable(item, indent + 2)}" for name, item in value.items()]
    else:
        items = [f"{inner}{_readable(item, indent + 2)}" for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opening, ",\n".join(items), f"{' ' * indent}{closing}"])


def _flat(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _packed(path: Path, whole: BinaryIO) -> AbstractContextManager[Any]:
    return gzip.GzipFile(fileobj=whole, mode="wb", mtime=0) if path.name.endswith(".gz") else nullcontext(whole)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.name.endswith((".json", *CAPTURES)))


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of cases with the lines on which they begin."""
    number = 0
    try:
        if not is_capture(path):
            yield 1, path.read_text(encoding="utf-8")
            return
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise FixtureError(f"{path}:{number}", f"is longer than {_LONGEST_LINE} bytes")
                if line.strip():
                    yield number, line.decode()
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        raise FixtureError(f"{path}:{max(1, number)}", f"cannot be read: {error}") from None


def _read(path: Path, line: int, text: str) -> Case:
    try:
        document = json.loads(text, parse_constant=_no_constant, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise FixtureError(f"{path}:{line + error.lineno - 1}", f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise FixtureError(f"{path}:{line}", f"not JSON: {error}") from None
    if isinstance(document, dict) and document.get("v") not in (VERSION, None):
        raise FixtureError(f"{path}:{_line_of(text, line, ['v'])}", f"unknown version {document['v']!r}")
    error_ = best_match(_validator().iter_errors(document))
    if error_ is not None:
        raise FixtureError(f"{path}:{_line_of(text, line, error_.absolute_path)}", _told(error_))
    _check_values(path, line, text, document)
    return Case(path, line, document)


def _check_values(path: Path, line: int, text: str, document: dict[str, Any]) -> None:
    """What a schema cannot say: instants that are, and bytes that can be decoded."""
    requests = [document["request"], *document.get("given", {}).get("requests", ())]
    for name in {"at", "status"} & document["request"].keys():
        raise FixtureError(f"{path}:{_line_of(text, line, ['request', name])}", f"request.{name}: is said elsewhere")
    customers = document.get("given", {}).get("customers", ())
    instants = [one.get(name) for one in customers for name in ("expires_at", "logged_in_at")]
    days = [rate["from"] for one in customers for rate in one.get("commission_rates", ())]
    try:
        text.encode()
        _flat(document).encode()  # half a character, written as an escape
        for at in (document.get("at"), *(request.get("at") for request in requests), *instants):
            read_instant(at)
        for day in days:
            date.fromisoformat(day)
        for request in requests:
            body_of(request)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise FixtureError(f"{path}:{line}", str(error)) from None


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises ValueError where a key comes twice: one of the two would be lost."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _told(error: ValidationError) -> str:
    path = ".".join(map(str, error.absolute_path))
    message = error.message
    if len(message) > 2 * _LONGEST_VALUE:
        message = f"{message[:_LONGEST_VALUE]} … {message[-_LONGEST_VALUE:]}"
    return f"{path}: {message}" if path else message


def _line_of(text: str, first: int, steps: Iterable[Any]) -> int:
    """The line on which what the steps lead to begins, by the names on the way."""
    at = 0
    for step in steps:
        found = re.compile(rf'"{re.escape(str(step))}"\s*:').search(text, at) if isinstance(step, str) else None
        at = found.start() if found else at
    return first + text.count("\n", 0, at)
