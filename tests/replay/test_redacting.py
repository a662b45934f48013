"""`redact` removes secrets and personal data and keeps references; `lint` reports what looks like a secret."""

import base64
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.replay.test_fixture import CASE, changed
from tests.test_commands import Shell
from tests.world import bet, result
from wallet_hooks.replay.fixture import read_cases, write_cases
from wallet_hooks.replay.linting import find_secrets
from wallet_hooks.replay.redacting import Redactor
from wallet_hooks.web.fields import UNWANTED

SECRET = "hunter2"
SHELL = Shell("sqlite:///unused.db")


def planted(value: Any, path: tuple[Any, ...] = ()) -> Iterator[dict[str, Any]]:
    """Yield cases with the secret in place of each string, at its end, and as a new key in each object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from planted(inner, (*path, key))
        if isinstance(inner, str):
            yield changed_in(FULL_CASE, (*path, key), SECRET)
            yield changed_in(FULL_CASE, (*path, key), f"{inner}{SECRET}")
    if isinstance(value, dict):
        yield changed_in(FULL_CASE, (*path, SECRET), SECRET)
        yield changed_in(FULL_CASE, (*path, "note"), {"inner": [SECRET]})


def changed_in(document: Any, path: tuple[Any, ...], to: Any) -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(document))
    inner: Any = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return copied


def of_betslip(item: dict[str, Any]) -> dict[str, Any]:
    item["bet"]["extra"] = {"betslip_id": "b-9", "note": "ann"}
    return item


OFFER = {"price": 2.1, "min": ["GBP", 2.0], "max": ["GBP", 5.4]}
MESSAGES: list[Any] = [
    ["betslip", {"betslip_id": "b-9", "sport": "fb", "event_id": "ann", "bet_type": "for,h", "customer_username": "ann",
                 "is_open": True, "close_reason": None, "accounts": ["ann"], "equivalent_bets": {"note": "ann"}}],
    ["pmm", {"betslip_id": "b-9", "sport": "fb", "event_id": "ann", "bookie": "bf", "username": "ann", "bet_type": "h",
             "status": {"code": "failed", "reason": "ann is blocked", "note": "ann"},
             "price_list": [{"bookie": {**OFFER, "note": "ann"}, "effective": {**OFFER, "note": "ann"}}]}],
    ["betslip_closed", {"betslip_id": "b-9", "close_reason": "ann", "note": "ann"}],
    ["ann", {"note": "ann"}],
]  # fmt: skip


FULL_CASE: dict[str, Any] = {
    **CASE,
    "description": "Ann Smith lost 10 EUR",
    "given": {
        "brands": [
            {"client": "acme", "timezone": "Europe/London", "preset": "ukgc", "providers": [{"game": "betflex"}]}
        ],
        "customers": [
            {
                "brand": "acme",
                "uid": "ann",
                "roles": ["bet_placer"],
                "commission_rate": "5",
                "commission_rates": [{"from": "2026-11-01", "percent": "6"}],
            }
        ],
        "countries": [{"address": "203.0.113.9", "country": "GB"}],
        "limits": [{"uid": "ann", "type": "bet", "frame": "day", "amount": "5"}],
        "rates": [{"source": "GBP", "target": "EUR", "rate": "1.2"}],
        "betslips": [{"brand": "acme", "game": "betflex", "messages": {"ts": 1.5, "data": MESSAGES}}],
        "requests": [
            {"path": "/winners", "body": {"pools": [result("b-9", user="ann")]}, "headers": {"X-A": "b"}},
            {
                "path": "/betslips/messages",
                "body": MESSAGES,
                "sign": {"brand": "acme", "game": "betflex", "role": "user"},
            },
        ],
    },
    "request": {
        "method": "POST",
        "path": "/bets",
        "headers": {"Authorization": "Bearer x", "X-Signature": "y"},
        "body": {"bets": [of_betslip(bet("b-9", user="ann", overdraw="21.00"))]},
    },
    "expect": {
        "status": 404,
        "body": {
            "error": "unknown_bet",
            "bets": [{"uid": "b-9", "error": "unknown_bet"}],
            "messages": [{"index": 1, "error": {"bookie": ["ann"]}}],
        },
        "balances": {"acme/ann:EUR": "1.00"},
        "limits": {"ann:bet:day": {"amount_left": "1"}},
    },
}


def redacted(tmp_path: Path, documents: list[dict[str, Any]], *options: str) -> list[dict[str, Any]]:
    source, target = tmp_path / "capture.jsonl", tmp_path / "redacted.jsonl"
    write_cases(source, documents)
    ran = Shell("sqlite:///unused.db").run("replay", "redact", str(source), "-o", str(target), *options)
    assert ran.returncode == 0, ran.stderr
    assert SECRET not in target.read_text()
    return [case.document for case in read_cases(target)]


def names_a_brand(document: dict[str, Any]) -> bool:
    """Whether the secret is in a brand or game name; those are the operator's and stay, to address its providers."""
    brand = document["given"]["brands"][0]
    return SECRET in str(brand["client"]) or SECRET in str(brand["providers"][0].get("game"))


def valid(document: dict[str, Any], tmp_path: Path) -> bool:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(document))
    try:
        return bool(list(read_cases(path)))
    except Exception:
        return False


def test_redact_removes_a_secret_from_every_place(tmp_path: Path) -> None:
    """The secret is planted in turn in every place of a fixture."""
    documents = [
        document for document in planted(FULL_CASE) if valid(document, tmp_path) and not names_a_brand(document)
    ]
    assert len(documents) > 60
    found = redacted(tmp_path, documents)
    assert len(found) == len(documents)
    text = (tmp_path / "redacted.jsonl").read_text()
    for trace in ("ann", "Smith", "203.0.113.9", "b-9", "Bearer", "X-Signature", '"odds"', '"name": "ann"'):
        assert trace not in text, trace


def test_cases_with_bodies_that_are_not_json_are_left_out(tmp_path: Path) -> None:
    encoded = base64.b64encode(SECRET.encode()).decode()
    documents = [
        changed("request", to={"path": "/bets", "body_b64": encoded}),
        changed("given", "requests", to=[{"path": "/bets", "body_b64": encoded, "status": 400}]),
        CASE,
    ]
    assert len(redacted(tmp_path, documents)) == 1
    assert encoded not in (tmp_path / "redacted.jsonl").read_text()


def test_pseudonyms_keep_references_and_types_and_depend_on_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDACT_KEY", "one")
    documents = [FULL_CASE, changed_in(FULL_CASE, ("request", "body", "bets", 0, "user", "uid"), 7)]
    first, second = redacted(tmp_path, documents, "--key", "env:REDACT_KEY")
    user = first["request"]["body"]["bets"][0]["user"]["uid"]
    assert first["given"]["countries"] == [
        {"address": first["request"]["body"]["bets"][0]["user"]["ip"], "country": "GB"}
    ]
    assert first["given"]["customers"][0]["commission_rates"] == FULL_CASE["given"]["customers"][0]["commission_rates"]
    assert user == first["given"]["customers"][0]["uid"] == first["given"]["limits"][0]["uid"]
    assert user == first["given"]["requests"][0]["body"]["pools"][0]["bets"][0]["user"]["uid"]
    assert list(first["expect"]["balances"]) == [f"acme/{user}:EUR"]
    assert list(first["expect"]["limits"]) == [f"{user}:bet:day"]
    named = first["request"]["body"]["bets"][0]["bet"]
    assert named["uid"] == named["extra"]["betslip_id"] == first["expect"]["body"]["bets"][0]["uid"]
    for messages in (first["given"]["betslips"][0]["messages"]["data"], first["given"]["requests"][1]["body"]):
        assert [message[1]["betslip_id"] for message in messages[:3]] == [named["uid"]] * 3
        assert messages[0][1]["customer_username"] == messages[1][1]["username"]
    assert isinstance(second["request"]["body"]["bets"][0]["user"]["uid"], int)
    assert redacted(tmp_path, documents, "--key", "env:REDACT_KEY") == [first, second]
    monkeypatch.setenv("REDACT_KEY", "two")
    assert redacted(tmp_path, documents, "--key", "env:REDACT_KEY")[0] != first
    ran = Shell("sqlite:///unused.db").run(
        "replay", "redact", str(tmp_path / "capture.jsonl"), "-o", "x", "--key", "env:NO"
    )
    assert ran.returncode == 2


def test_a_capture_may_be_redacted_in_place(tmp_path: Path) -> None:
    path = tmp_path / "capture.jsonl.gz"
    write_cases(path, [FULL_CASE])
    SHELL.ok("replay", "redact", str(path), "-o", str(path))
    assert [case.name for case in read_cases(path)] == ["case-000001"]
    write_cases(path, [changed("request", to={"path": "/bets", "body_b64": "AAAA"})])
    assert SHELL.run("replay", "redact", str(path), "-o", str(path)).returncode == 5


def test_an_invalid_value_is_still_invalid_after_redaction(tmp_path: Path) -> None:
    """The cases get the same answers before and after redaction."""
    odd: list[Any] = ["", "x" * 65, "a\nb", " 9", "9\u3000", True, None, [], {}, 9.5, -9, 10**64]
    documents = [
        changed("request", "body", "bets", 0, "bet", "uid", to=uid) | {"name": f"id-{n}", "expect": {"status": 400}}
        for n, uid in enumerate(odd)
    ]
    documents += [
        changed("request", "body", "bets", 0, "bet", "amount", to=10.5) | {"name": "float", "expect": {"status": 200}},
        changed("request", to={"path": "/winners", "body": {"pools": [result(5, outcome=["a"])]}})  # type: ignore[arg-type]
        | {"name": "result", "expect": {"status": 400}},
    ]
    bodies: list[Any] = [
        {"bets": None},
        {"bets": 5},
        {"bets": [result(1), 5]},
        {"pools": True},
        {"pools": [{"bets": 7}]},
    ]
    documents += [
        changed("request", to={"path": "/winners" if "pools" in body else "/bets", "body": body})
        | {"name": f"body-{n}", "expect": {"status": 400}}
        for n, body in enumerate(bodies)
    ]
    documents += [
        changed("request", "body", "bets", 0, "pool", "currency", to=currency)
        | {"name": f"currency-{n}", "expect": {"status": 400}}
        for n, currency in enumerate(["QQ", 5, "SEVENTH"])
    ]
    source, target = tmp_path / "capture.jsonl", tmp_path / "redacted.jsonl"
    write_cases(source, documents)
    SHELL.ok("replay", "redact", str(source), "-o", str(target))
    for path in (source, target):
        ran = SHELL.run("replay", "run", str(path))
        assert ran.returncode == 0, ran.stdout


def test_an_id_with_colons_has_the_same_pseudonym_everywhere(tmp_path: Path) -> None:
    document = changed("expect", "balances", to={"acme/john:smith:EUR": "1.00"})
    document["expect"]["limits"] = {"john:smith:bet:day": {"amount_left": "1.00"}}
    document["given"]["customers"][0]["uid"] = "john:smith"
    (found,) = redacted(tmp_path, [document])
    uid = found["given"]["customers"][0]["uid"]
    assert list(found["expect"]["balances"]) == [f"acme/{uid}:EUR"]
    assert list(found["expect"]["limits"]) == [f"{uid}:bet:day"]


SUSPICIOUS = {
    "request.headers.Authorization": ("Bearer acme eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjF9.c2lnbmF0dXJl", "JSON Web Token"),
    "request.headers.X-Key": ("sk_live_0123456789abcdef", "API key"),
    "request.body.note": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "webhook secret"),
    "request.body.password": ("x", "named like a secret"),
    "request.body.mail": ("ann.smith@example.com", "e-mail address"),
    "request.body.card": ("4111 1111 1111 1111", "card number"),
    "request.headers.X-Signature": (
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "signature or key",
    ),
    "description": ("-----BEGIN RSA PRIVATE KEY-----", "private key"),
    "source": ("AKIAIOSFODNN7EXAMPLE", "AWS key"),
    "request.headers.X-Auth-Token": ("x", "named like a secret"),
    "request.headers.webhook-signature": ("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=", "webhook signature"),
    "request.body.new_card": ("2223 0031 2200 3222", "card number"),
    "request.body.dotted_card": ("4111.1111.1111.1111", "card number"),
    "request.body.url": ("postgresql://admin:pass@db/x", "URL with a password"),
    "request.body.ann@example.com": ("x", "e-mail address"),
    "request.headers.X-Api-Key": ("x", "named like a secret"),
    "request.headers.X-Session": ("x", "named like a secret"),
    "request.headers.X-Basic": ("Basic dXNlcjpwYXNzd29yZA==", "basic credentials"),
}


@pytest.mark.parametrize("place", SUSPICIOUS)
def test_lint_reports_what_looks_like_a_secret_without_its_value(tmp_path: Path, place: str) -> None:
    value, what = SUSPICIOUS[place]
    path = tmp_path / "case.json"
    path.write_text(json.dumps(changed_in(CASE, tuple(place.split(".", 2)), value)))
    (case,) = read_cases(path)
    assert [one for one in find_secrets(case) if what in one]
    ran = Shell("sqlite:///unused.db").run("replay", "lint", str(path))
    assert ran.returncode == 1
    assert f"{path}:1: {place}: " in ran.stdout
    assert value == "x" or value not in ran.stdout


def test_lint_reads_queries_and_takes_no_betslips_id_for_a_secret(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(changed("request", "path", to="/bets?token=abc&password=hunter2")))
    (case,) = read_cases(path)
    assert [one.partition(":")[0] for one in find_secrets(case)] == ["path.0.token", "path.0.password"]
    path.write_text(json.dumps(changed("request", "path", to="//[x?token=abc")))
    (case,) = read_cases(path)
    assert [one.partition(":")[0] for one in find_secrets(case)] == ["path.0.token"]
    of_betslip = changed("request", "body", to={"betslip_id": "1a2b3c4d" * 4})
    path.write_text(json.dumps(of_betslip))
    (case,) = read_cases(path)
    assert list(find_secrets(case)) == []


@pytest.mark.parametrize("client", ["", 5, None, "a\x01"])
def test_a_name_that_is_none_stays_invalid(client: Any) -> None:
    case = changed("request", "body", "bets", 0, "user", "client", to=client)
    (redacted,) = Redactor(b"key").redact([case])
    found = redacted["request"]["body"]["bets"][0]["user"]["client"]
    assert found in ("", None) or UNWANTED.search(found)


def test_lint_comes_to_an_end_with_long_words(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    for word in ("a", "eyJa", "a://", "Bearer ", "1-"):
        path.write_text(json.dumps(changed("description", to=word * 100_000)))
        (case,) = read_cases(path)
        assert list(find_secrets(case)) == []


def test_lint_decodes_base64_bodies_and_accepts_clean_cases(tmp_path: Path) -> None:
    shell = Shell("sqlite:///unused.db")
    clean = tmp_path / "clean.jsonl.gz"
    write_cases(clean, [CASE])
    assert gzip.decompress(clean.read_bytes())
    assert shell.run("replay", "lint", str(clean)).returncode == 0
    hidden = base64.b64encode(b'{"password": "hunter2"}').decode()
    dirty = tmp_path / "dirty.jsonl"
    for document in (
        changed("request", to={"path": "/bets", "body_b64": hidden}),
        changed("given", "betslips", to=[{"messages_b64": hidden}]),
    ):
        write_cases(dirty, [document])
        assert shell.run("replay", "lint", str(dirty)).returncode == 1
