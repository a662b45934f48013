"""Plain bodies, which msgspec reads, give the same requests and errors as the strict JSON parser and marshmallow."""

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from tests.replay.test_catalogue import CATALOGUE
from tests.web.hostile import BODIES
from tests.web.test_fields import changed, paths
from tests.world import bet, refund, result
from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.replay.fixture import read_sequences
from wallet_hooks.sportsbook.schemas import read_cancel_bets, read_place_bets, read_settle_bets
from wallet_hooks.web import body_reader
from wallet_hooks.web.strict_json import InvalidJSONError

Read = Callable[[bytes], Any]
READERS: dict[str, Read] = {
    "/bets": read_place_bets,
    "/winners": read_settle_bets,
    "/bets/cancel": read_cancel_bets,
}
DOCUMENTS: list[tuple[Read, Any]] = [
    (read_place_bets, {"bets": [bet("b-0", 5, overdraw="3.00"), bet(2, "0.10", pool=0)]}),
    (read_place_bets, {"bets": [bet(3) | {"bet": {"uid": 3, "amount": "1", "extra": {"betslip_id": 7}}}]}),
    (read_settle_bets, {"pools": [result("1", 0), result(2, outcome="ge\u00fcnt")]}),
    (read_cancel_bets, {"pools": [refund("1"), refund(2)]}),
]
TEXTS = st.text(max_size=3) | st.sampled_from(
    [" 9", "9 ", "\u00a09", "\u2028", "a" * 65, "a" * 201, "1e5", "1_0", "\u0661"]
)
VALUES = (
    TEXTS
    | st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, 2**63 - 1, 2**63, 10**19 - 1, 10**19, 10**64])
    | st.recursive(
        st.none() | TEXTS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2)
    )
)
SNIPPETS = [
    b'"', b"\\", b'\\"', b"\\u0022", b"\\u0075", b"\\u00e9", b"\\ud83d", b"\\/", b"\\n", b" ", b"\n", b"\x7f", b"\x00",
    b"-", b"-0", b" -0", b"0", b"1.0", b"e1", b"9" * 20,
    b"{", b"}", b"[", b"]", b",", b":", b"null", b"\xff", b"\xc2\x85", b"\xc3\xa9", b"\xed\xa0\x80",
    b'"uid":1,', b'"uid":"1",', b'"u\\u0069d":1,', b'"note":"x",', b"\xef\xbb\xbf", b"[" * 40, b'{"a":' * 40,
]  # fmt: skip


def outcome(read: Read, body: bytes) -> Any:
    try:
        return read(body)
    except ValidationError as error:
        return error.messages
    except InvalidJSONError as error:
        return str(error)


def assert_read_alike(read: Read, body: bytes) -> None:
    found = outcome(read, body)
    with patch.object(body_reader, "_decode_plain", side_effect=body_reader._NotPlainError):
        assert found == outcome(read, body)


@settings(max_examples=500)
@given(st.data(), VALUES | st.just(...), st.booleans(), st.sampled_from([None, 1]))
def test_any_value_in_any_place(data: st.DataObject, value: Any, ascii_only: bool, indent: int | None) -> None:
    read, document = data.draw(st.sampled_from(DOCUMENTS))
    path = data.draw(st.sampled_from(paths(document)))
    text = json.dumps(changed(document, path, value), ensure_ascii=ascii_only, indent=indent)
    assert_read_alike(read, text.encode(errors="surrogatepass"))


@settings(max_examples=500)
@given(st.data(), st.lists(st.sampled_from(SNIPPETS), min_size=1, max_size=2))
def test_any_bytes_in_any_place(data: st.DataObject, snippets: list[bytes]) -> None:
    read, document = data.draw(st.sampled_from(DOCUMENTS))
    body = json.dumps(document).encode()
    for snippet in snippets:
        start = data.draw(st.integers(0, len(body)))
        body = body[:start] + snippet + body[start + data.draw(st.integers(0, 4)) :]
    assert_read_alike(read, body)


@pytest.mark.parametrize(
    ("read", "old", "new"),
    [
        (read_place_bets, b"501", b"-0"),
        (read_place_bets, b"501", b" -0"),
        (read_place_bets, b'"203.0.113.9"', b'"\\b"'),
        (read_place_bets, b'"203.0.113.9"', b'"\\u0022"'),
        (read_place_bets, b'"ip"', b'"i\\u0022": "", "i\\u0022": "", "ip"'),
        (read_settle_bets, b'{"note": "kept"}', b"[" * 40 + b"]" * 40),
        (read_settle_bets, b'{"note": "kept"}', b"[" * 26 + b"]" * 26),  # with those around it 32 levels
        (read_settle_bets, b'{"note": "kept"}', b'[{"a":' * 13 + b"[]" + b"}]" * 13),
        (read_settle_bets, b'{"note": "kept"}', b'["]", "}{", "' + b"[" * 40 + b'"]'),
        (read_settle_bets, b'{"note": "kept"}', b'["]", ' * 40 + b"0" + b', "["]' * 40),
        (read_settle_bets, b"2.5", b"1" * 5000),
    ],
)
def test_bodies_with_something_unusual(read: Read, old: bytes, new: bytes) -> None:
    body = json.dumps(next(document for one, document in DOCUMENTS if one is read)).encode()
    assert old in body
    assert_read_alike(read, body.replace(old, new))


@pytest.mark.parametrize("name", BODIES)
def test_hostile_bodies(name: str) -> None:
    for read in READERS.values():
        assert_read_alike(read, BODIES[name])


def test_the_bodies_of_the_catalogue() -> None:
    requests = [case.request for sequence in read_sequences([CATALOGUE]) for case in sequence.cases]
    bodies = [(READERS[one["path"]], encode_body(one)) for one in requests if one["path"] in READERS]
    assert len(bodies) > 250
    for read, body in bodies:
        assert_read_alike(read, body)


@pytest.mark.parametrize(("read", "document"), DOCUMENTS)
def test_plain_bodies_need_no_marshmallow(read: Read, document: Any) -> None:
    with patch.object(body_reader, "read_json", side_effect=AssertionError):
        assert outcome(read, json.dumps(document).encode())
