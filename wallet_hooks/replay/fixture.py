"""Read and write fixtures: one case per `.json` file, or one case per line of a capture (`.jsonl`, `.jsonl.gz`)."""

import binascii
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple

from jsonschema_rs import Draft202012Validator, ValidationError

from wallet_hooks import clock
from wallet_hooks.files import replace_atomically
from wallet_hooks.replay.bodies import decode_body, encode_body, parse_float, reject_constant, reject_duplicate_keys

VERSION = 1
CAPTURE_SUFFIXES = (".jsonl", ".jsonl.gz")
_MAX_VALUE_SHOWN = 80
_LINE_WIDTH = 100
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()
_MAX_LINE_BYTES = 256 * 1024 * 1024  # a bet has all earlier messages of its betslip


class FixtureError(Exception):
    """An invalid fixture. `where` is its file and line, `message` says what is wrong."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")


class Case(NamedTuple):
    """A case that fits the schema: its file, the line where it begins, and its JSON document."""

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


class CaseSequence(NamedTuple):
    """Cases that share one database, in order: all cases of a capture, a part of them, or a single case.

    Of a part of a capture, `given` has preconditions of other parts that its cases need too, and `begins` is the
    capture's first instant.
    """

    path: Path
    cases: list[Case]
    given: Mapping[str, Sequence[Any]] = MappingProxyType({})
    begins: datetime | None = None

    def given_of(self, name: str) -> list[Any]:
        """Return the preconditions of one kind, of the sequence and of all its cases."""
        return [*self.given.get(name, ()), *(one for case in self.cases for one in case.given.get(name, ()))]

    def first_instant(self) -> datetime | None:
        """Return when the sequence begins, None if neither it nor its cases say so."""
        requests = (request.get("at") for case in self.cases for request in case.given.get("requests", ()))
        instants = (self.begins, *(case.at for case in self.cases), *map(read_instant, requests))
        return min((instant for instant in instants if instant is not None), default=None)


def read_sequences(paths: Iterable[Path]) -> Iterator[CaseSequence]:
    """Yield the cases of files and, sorted by path, of all fixtures below directories. Raises FixtureError."""
    for path in paths:
        for file in _find_files(path):
            cases = list(read_cases(file))
            if is_capture(file):
                yield CaseSequence(file, cases)
            else:
                yield from (CaseSequence(file, [case]) for case in cases)


def read_cases(path: Path) -> Iterator[Case]:
    """Yield the cases of a file. Raises FixtureError, which names the line, for invalid JSON or a schema violation."""
    for line, text in _read_texts(path):
        yield _read(path, line, text)


def is_capture(path: Path) -> bool:
    return path.name.endswith(CAPTURE_SUFFIXES)


def write_cases(path: Path, documents: Iterable[Mapping[str, Any]]) -> int:
    """Replace a file atomically with a capture, or with the single case of a .json file. Return the number of cases."""
    count = 0
    with replace_atomically(path) as raw, _compressed(path, raw) as file:
        for document in documents:
            file.write(f"{_format_compact(document) if is_capture(path) else _format_indented(document)}\n".encode())
            count += 1
    return count


def headers_of(request: Mapping[str, Any], more: Mapping[str, str] | None = None) -> dict[str, str | None]:
    """Return a request's headers: the content type, `more`, and its own, which replace those, in any case."""
    headers: dict[str, str | None] = {}
    for given in ({"Content-Type": "application/json"}, more or {}, request.get("headers") or {}):
        for name, value in given.items():
            same = next((one for one in headers if one.lower() == name.lower()), name)
            headers[same] = value
    return headers


def find_bets(request: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return brand, game, bet id and user id of each bet in a request. Malformed elements are skipped."""
    body = decode_body(request)
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


def find_addresses(request: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the customers' IP addresses (`user.ip`) in a request's bets, each after the bet's brand."""
    body = decode_body(request)
    users = (item.get("user") for _, item in _items(body if isinstance(body, dict) else {}))
    pairs = ((user.get("client"), user.get("ip")) for user in users if isinstance(user, dict))
    return [(client, ip) for client, ip in pairs if isinstance(client, str) and isinstance(ip, str)]


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


def instant_text(instant: datetime) -> str:
    """Return an instant as fixtures have it: ISO 8601 in UTC, with microseconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_instant(text: str | None) -> datetime | None:
    """Return the instant of a fixture's time in UTC; a time without an offset is UTC. Raises ValueError."""
    return None if text is None else clock.parse_instant(text)


@cache
def schema() -> dict[str, Any]:
    """Return the published JSON Schema of a case."""
    document: dict[str, Any] = json.loads(
        files("wallet_hooks.replay").joinpath("fixture.schema.json").read_text("utf-8")
    )
    return document


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


def _format_indented(value: Any, indent: int = 0) -> str:
    """Format as indented JSON; a value that fits on one line stays on one line."""
    flat = _format_compact(value)
    if indent + len(flat) <= _LINE_WIDTH or not value or not isinstance(value, dict | list):
        return flat
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        items = [
            f"{inner}{_format_compact(name)}: {_format_indented(item, indent + 2)}" for name, item in value.items()
        ]
    else:
        items = [f"{inner}{_format_indented(item, indent + 2)}" for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    return "\n".join([opening, ",\n".join(items), f"{' ' * indent}{closing}"])


def _format_compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _compressed(path: Path, raw: BinaryIO) -> AbstractContextManager[Any]:
    return gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if path.name.endswith(".gz") else nullcontext(raw)


def _find_files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.name.endswith((".json", *CAPTURE_SUFFIXES)))


def _read_texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the JSON text of each case with the line where it begins."""
    number = 0
    try:
        if not is_capture(path):
            yield 1, path.read_text(encoding="utf-8")
            return
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            while line := file.readline(_MAX_LINE_BYTES):
                number += 1
                if len(line) == _MAX_LINE_BYTES:
                    raise FixtureError(f"{path}:{number}", f"line too long; limit: {_MAX_LINE_BYTES} bytes")
                if line.strip():
                    yield number, line.decode()
    except (OSError, EOFError, UnicodeError, zlib.error) as error:
        raise FixtureError(f"{path}:{max(1, number)}", f"cannot be read: {error}") from None


def _read(path: Path, line: int, text: str) -> Case:
    try:
        document = json.loads(
            text,
            parse_float=parse_float,
            parse_constant=reject_constant,
            object_pairs_hook=reject_duplicate_keys,
        )
    except json.JSONDecodeError as error:
        raise FixtureError(f"{path}:{line + error.lineno - 1}", f"not JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise FixtureError(f"{path}:{line}", f"not JSON: {error}") from None
    if isinstance(document, dict) and document.get("v") not in (VERSION, None):
        raise FixtureError(
            f"{path}:{_line_of(text, line, ['v'])}", f"unknown version {document['v']!r}; expected {VERSION}"
        )
    # The errors of the outermost value say best what is wrong; those of its members follow from them.
    errors = sorted(_validator().iter_errors(document), key=lambda error: len(error.instance_path))
    if errors:
        raise FixtureError(f"{path}:{_line_of(text, line, errors[0].instance_path)}", _describe_error(errors[0]))
    _check_values(path, line, text, document)
    return Case(path, line, document)


def _check_values(path: Path, line: int, text: str, document: dict[str, Any]) -> None:
    """Check what JSON Schema cannot: that instants and days exist, and that bodies can be encoded."""
    for name, instead in (("at", "at"), ("status", "expect.status")):
        if name in document["request"]:
            where = f"{path}:{_line_of(text, line, ['request', name])}"
            raise FixtureError(where, f"request.{name}: not allowed here; use the case's {instead}")
    for steps, read, value in _values_to_read(text, document):
        try:
            read(value)
        except (ValueError, binascii.Error, RecursionError) as error:  # a UnicodeError is a ValueError
            raise FixtureError(f"{path}:{_line_of(text, line, steps)}", str(error)) from None


def _values_to_read(
    text: str, document: Mapping[str, Any]
) -> Iterator[tuple[Sequence[str | int], Callable[[Any], Any], Any]]:
    """Yield the path of each instant, day and body, the function that reads it, and the value; first the whole."""
    yield (), str.encode, text
    yield (), lambda whole: _format_compact(whole).encode(), document  # fails for an escaped lone surrogate
    given = document.get("given", {})
    yield ("at",), read_instant, document.get("at")
    yield ("request",), encode_body, document["request"]
    for number, request in enumerate(given.get("requests", ())):
        yield ("given", "requests", number, "at"), read_instant, request.get("at")
        yield ("given", "requests", number), encode_body, request
    for number, customer in enumerate(given.get("customers", ())):
        for name in ("expires_at", "logged_in_at"):
            yield ("given", "customers", number, name), read_instant, customer.get(name)
        for rate_number, rate in enumerate(customer.get("commission_rates", ())):
            steps = ("given", "customers", number, "commission_rates", rate_number, "from")
            yield steps, date.fromisoformat, rate["from"]
    for number, betslip in enumerate(given.get("betslips", ())):
        yield ("given", "betslips", number), partial(encode_body, name="messages"), betslip


def _describe_error(error: ValidationError) -> str:
    path = ".".join(map(str, error.instance_path))
    message = error.message
    if len(message) > 2 * _MAX_VALUE_SHOWN:
        message = f"{message[:_MAX_VALUE_SHOWN]} … {message[-_MAX_VALUE_SHOWN:]}"
    return f"{path}: {message}" if path else message


def _line_of(text: str, first: int, steps: Iterable[Any]) -> int:
    """Return the line where the value at a path begins; `steps` are the path's member names and indexes."""
    at = _skip(text, 0)
    for step in steps:
        found = next((begin for name, begin in _members(text, at) if name == step), None)
        if found is None:
            break
        at = found
    return first + text.count("\n", 0, at)


def _members(text: str, at: int) -> Iterator[tuple[str | int, int]]:
    """Yield the name or index of each member of the object or array at a place, and where its value begins."""
    is_object = text[at] == "{"
    end, number = at, 0
    while text[end] not in "}]":
        begin = _skip(text, end + 1)
        if text[begin] in "}]":
            return
        name: str | int = number
        if is_object:
            name, end = _DECODER.raw_decode(text, begin)
            begin = _skip(text, _skip(text, end) + 1)
        yield name, begin
        _, end = _DECODER.raw_decode(text, begin)
        end, number = _skip(text, end), number + 1


def _skip(text: str, at: int) -> int:
    """Return the place after white space."""
    found = _SPACE.match(text, at)
    assert found is not None, "it matches nothing, too"
    return found.end()
