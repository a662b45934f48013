"""Strict JSON parsing: hostile JSON is refused, in time linear in its length."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.hostile import BODIES
from wallet_hooks.web.strict_json import InvalidJSONError, Number, read_json

plain = st.recursive(
    st.none() | st.booleans() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=4), children, max_size=4),
    max_leaves=20,
)


@given(plain)
def test_plain_json_is_parsed_as_the_standard_library_does(document: object) -> None:
    text = json.dumps(document)
    if text.count("[") + text.count("{") <= 32:
        assert read_json(text.encode()) == document


def test_numbers_keep_their_text() -> None:
    read = read_json(b'{"a": 10.10, "b": 123456789012345678901234567890, "c": 1e400}')
    assert read == {"a": "10.10", "b": "123456789012345678901234567890", "c": "1e400"}
    assert all(type(value) is Number for value in read.values())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a":1,"a":2}', "duplicate key"),
        (b'{"a":{"b":1,"b":1}}', "duplicate key"),
        (b"NaN", "NaN"),
        (b"-Infinity", "Infinity"),
        (b"[" * 33 + b"]" * 33, "deeply"),
        (b'{"a":' * 100_000, "deeply"),
        (b"\xff", "UTF-8"),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", "not JSON"),
        (b"\xef\xbb\xbf", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"'a'", "not JSON"),
    ],
)
def test_invalid_json_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidJSONError, match=message):
        read_json(body)


def test_a_byte_order_mark_is_skipped() -> None:
    assert read_json(b'\xef\xbb\xbf{"a": "\xef\xbb\xbf"}') == {"a": "\ufeff"}


def test_a_depth_of_32_is_accepted() -> None:
    assert read_json(b"[" * 32 + b"]" * 32)


@pytest.mark.parametrize("body", [body for body in BODIES.values() if b"bets" not in body], ids=lambda body: body[:6])
def test_a_hostile_body_is_refused(body: bytes) -> None:
    """`make bench` measures how long this takes."""
    with pytest.raises(InvalidJSONError):
        read_json(body)
