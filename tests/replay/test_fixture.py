"""Reading and writing fixtures: errors name file and line, and requests are sent as written."""

import base64
import gzip
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.test_commands import Shell
from tests.world import bet
from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.replay.fixture import (
    FixtureError,
    find_bets,
    headers_of,
    read_cases,
    read_sequences,
    schema,
    write_cases,
)

CASE: dict[str, Any] = {
    "v": 1,
    "name": "a-case",
    "at": "2026-11-20T12:00:00Z",
    "given": {"customers": [{"uid": 7, "currency": "EUR", "balance": "100.00", "credit_limit": "0"}], "limits": []},
    "request": {"method": "POST", "path": "/bets", "headers": {}, "body": {"bets": [bet()]}, "body_b64": None},
    "expect": {"status": 200, "body": {"status": "OK"}, "balances": {"7:EUR": "90.00"}},
    "tags": ["x"],
    "source": "capture",
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """Return a copy of CASE with the value at a path replaced, or removed for `...`."""
    document: dict[str, Any] = json.loads(json.dumps(CASE))
    inner = document
    for step in path[:-1]:
        inner = inner[step]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return document


def test_the_schema_is_valid_and_accepts_the_example() -> None:
    Draft202012Validator.check_schema(schema())
    Draft202012Validator(schema()).validate(CASE)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (changed("v", to=2), "unknown version 2"),
        (changed("v", to="1"), "unknown version '1'"),
        (changed("v", to=...), '"v" is a required property'),
        (changed("request", to=...), '"request" is a required property'),
        (changed("expect", to=...), '"expect" is a required property'),
        (changed("expect", "status", to="200"), 'expect.status: "200" is not of type "integer"'),
        (changed("expect", "balances", "7:EUR", to=90.0), 'expect.balances.7:EUR: 90.0 is not of type "string"'),
        (changed("given", "customers", 0, "balance", to="ten"), 'given.customers.0.balance: "ten" does not match'),
        (changed("given", "customer", to=[]), "'customer' was unexpected"),
        (changed("request", "pat", to="/bets"), "'pat' was unexpected"),
        (changed("request", "path", to="bets"), 'request.path: "bets" does not match'),
        (changed("at", to="2026-11-20"), 'at: "2026-11-20" does not match'),
        (changed("at", to="2026-13-40T12:00:00Z"), "month must be in 1..12"),
        (changed("given", "limits", to=[{"uid": 7, "type": "bet", "amount": "1"}]), '"frame" is a required property'),
        (changed("given", "limits", to=[{"uid": 7, "type": "time_limit", "amount": "1.5"}]), "does not match"),
        (changed("given", "customers", 0, "expires_at", to="2026-02-30T00:00:00Z"), "day is out of range"),
        (changed("expect", "limits", to={"7:bet": {"amount_left": "1"}}), "does not match"),
        (changed("at", to="0001-01-01T00:00:00Z"), "does not match"),
        (changed("request", "headers", to={"X\nY": "z"}), "does not match"),
        (changed("request", "headers", to={"X": "a\nb"}), "does not match"),
        (changed("request", "body", to="\ud800"), "surrogates not allowed"),
        (changed("request", "status", to=200), "request.status: not allowed here; use the case's expect.status"),
        (changed("name", to="../x"), 'name: "../x" does not match'),
        (changed("request", "body_b64", to="?"), "Only base64 data is allowed"),
        (changed("given", "betslips", to=[{"messages_b64": "?"}]), "Only base64 data is allowed"),
        (changed("given", "betslips", to=[{"brand": "acme"}]), 'given.betslips.0: {"brand":"acme"} is not valid'),
        (changed("given", "betslips", to=[{"messages": "x"}]), 'given.betslips.0.messages: "x" is not of type'),
        ([], '[] is not of type "object"'),
        (None, 'null is not of type "object"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_invalid_fixture_is_reported_with_file_and_line(tmp_path: Path, document: Any, message: str) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(document, indent=2))
    with pytest.raises(FixtureError) as error:
        list(read_cases(path))
    assert str(error.value).startswith(f"{path}:")
    assert message in str(error.value)
    capture = tmp_path / "capture.jsonl"
    capture.write_text(f"{json.dumps(CASE)}\n\n{json.dumps(document)}\n")
    with pytest.raises(FixtureError) as error:
        list(read_cases(capture))
    assert str(error.value).startswith(f"{capture}:3: ")


@pytest.mark.parametrize("number", ["0.12345678901234567890", "1e400", "-1e-400", "1e99999999999999999999"])
def test_a_number_that_would_be_sent_with_another_value_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(changed("request", "body", to={"stake": 1.5})).replace("1.5", number))
    with pytest.raises(FixtureError, match=f"^{path}:1: .*{number}.* body_b64"):
        list(read_cases(path))


def test_a_number_is_sent_with_its_value(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(
        json.dumps(changed("request", "body", to=[1.5])).replace("[1.5]", "[1.50, 0.1, 1E2, 12345678901234567890]")
    )
    (case,) = read_cases(path)
    assert encode_body(case.request) == b"[1.5,0.1,100.0,12345678901234567890]"


@pytest.mark.parametrize("text", ["", "{", "[1,", '{"v": 1, "v": 1}', '{"v": 1, "v": NaN}', "\x00", "[" * 100_000])
def test_invalid_json_is_reported_with_file_and_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "case.json"
    path.write_text(text)
    ran = Shell("sqlite:///unused.db").run("replay", "run", str(path))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith(f"wallet-hooks: {path}:1: not JSON")


def test_the_reported_line_is_that_of_the_invalid_value(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(changed("expect", "status", to="200"), indent=2))
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if '"status": "200"' in text)
    with pytest.raises(FixtureError, match=f"case.json:{line}: expect.status"):
        list(read_cases(path))


@pytest.mark.parametrize(
    ("document", "shown"),
    [
        (changed("given", "customers", to=[{"uid": 7}, {"uid": 8}, {"uid": 9, "balance": "ten"}]), '"balance": "ten"'),
        (
            changed("given", "customers", to=[{"uid": 7}, {"uid": 8, "expires_at": "2026-02-30T00:00:00Z"}]),
            "-02-30",
        ),
        (changed("given", "requests", to=[{"path": "/bets", "at": "2026-13-01T00:00:00Z"}]), "2026-13-01"),
    ],
)
def test_the_reported_line_is_found_by_index_and_name(tmp_path: Path, document: Any, shown: str) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(document, indent=2))
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if shown in text)
    with pytest.raises(FixtureError, match=f"case.json:{line}: "):
        list(read_cases(path))


def test_a_key_that_is_given_twice_is_named(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text('{"v": 1, "name": "a", "name": "b"}')
    with pytest.raises(FixtureError, match="the key 'name' twice"):
        list(read_cases(path))


def test_a_case_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    for depth in range(900, 1000, 3):
        path.write_text(json.dumps(changed("request", "body", to="deep")).replace('"deep"', "[" * depth + "]" * depth))
        with suppress(FixtureError):
            list(read_cases(path))


def test_header_names_replace_others_in_any_case() -> None:
    assert headers_of({"headers": {"content-type": "text/plain", "X": None}}, {"x": "1"}) == {
        "Content-Type": "text/plain", "x": None,
    }  # fmt: skip


def test_an_unreadable_file_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(json.dumps(CASE).encode())[:-9])
    latin = tmp_path / "latin.json"
    latin.write_bytes(json.dumps(CASE).encode().replace(b"a-case", b"caf\xe9"))
    corrupt = tmp_path / "corrupt.jsonl.gz"
    corrupt.write_bytes(gzip.compress(b"{}")[:10] + b"\xff" * 40)
    for path in (broken, latin, corrupt):
        with pytest.raises(FixtureError, match="cannot be read"):
            list(read_cases(path))


def test_cases_of_directories_are_sorted_by_path(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name, file in (("two", "b/two.json"), ("one", "a.json")):
        write_cases(tmp_path / file, [changed("name", to=name)])
    write_cases(tmp_path / "c.jsonl.gz", [changed("name", to=f"line-{n}") for n in range(3)])
    (tmp_path / "README.md").write_text("not a case")
    found = [[case.name for case in sequence.cases] for sequence in read_sequences([tmp_path])]
    assert found == [["one"], ["two"], ["line-0", "line-1", "line-2"]]


def test_written_cases_read_back_unchanged(tmp_path: Path) -> None:
    for name in ("case.json", "case.jsonl", "case.jsonl.gz"):
        document = changed("request", "body", "bets", 0, "bet", "uid", to="赌注 \u202e ' \\ \"")
        assert write_cases(tmp_path / name, [document]) == 1
        assert [case.document for case in read_cases(tmp_path / name)] == [document]


def test_bytes_are_sent_unchanged_and_their_bets_are_found() -> None:
    body = (
        b'{"bets": [{"user": {"client": "acme", "uid": 7}, "pool": {"game": "g"}, "bet": {"uid": 9, "amount": 1.10}}]}'
    )
    request = {"path": "/bets", "body_b64": base64.b64encode(body).decode()}
    assert encode_body(request) == body
    assert find_bets(request) == [{"brand": "acme", "game": "g", "bet": "9", "user": "7"}]
    assert find_bets({"path": "/bets", "body": {"bets": [1, {"user": 1, "bet": 2}, {}], "pools": {}}}) == []
