"""`redact` keeps what betslip messages decide about bets; test_redacting.py shows what it removes."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.replay.test_fixture import CASE
from tests.replay.test_redacting import MESSAGES, changed_in
from wallet_hooks.betslips.schemas import read_messages
from wallet_hooks.replay.bodies import encode_body
from wallet_hooks.replay.redacting import Redactor
from wallet_hooks.web.strict_json import read_json

WRONG: list[Any] = [None, "", " x", "x" * 300, "a\nb", "7", True, -1, 7, 1.5, 10**70, [], {}, ["ABC", 1], ["EUR", 1]]


def redacted(body: Any) -> Any:
    """Return the redacted body of a request with messages, as it is sent."""
    member = {"body_b64": base64.b64encode(body).decode()} if isinstance(body, bytes) else {"body": body}
    (case,) = Redactor(b"key").redact([{**CASE, "request": {"path": "/betslips/messages", **member}}])
    assert case["request"]["path"] == "/betslips/messages"
    return encode_body(case["request"]).decode()


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def invalid_places(text: str) -> list[int]:
    return [one.position for one in read_messages(read_json(text.encode()))[1]]


def test_an_invalid_message_stays_invalid_in_its_place() -> None:
    """Each value of the messages is replaced in turn by wrong ones."""
    count = 0
    for place in places(MESSAGES):
        for wrong in WRONG:
            document = [MESSAGES[0], *changed_in(MESSAGES, place, wrong)]
            found = invalid_places(json.dumps(document))
            count += len(found)
            assert invalid_places(redacted(document)) == found, (place, wrong)
    assert count > 300


@pytest.mark.parametrize("body", [MESSAGES[0], ["pmm"], [MESSAGES[0], []], {"ts": 1.5, "data": [MESSAGES[0], 5]}])
def test_the_form_of_a_body_is_kept(body: Any) -> None:
    found = json.loads(redacted(body))
    assert type(found) is type(body)
    assert [type(member) for member in found] == [type(member) for member in body]
    assert isinstance(body, list) or found["ts"] == 1.5
    assert invalid_places(json.dumps(found)) == invalid_places(json.dumps(body))


@pytest.mark.parametrize("body", [{}, [], 5, "x", {"ts": "now", "data": []}, {"data": 1}, [["pmm", {}]] * 1001])
def test_a_body_that_is_none_of_the_forms_stays_so(body: Any) -> None:
    assert redacted(body) == "{}"


def test_numbers_are_kept_exactly() -> None:
    offer = '{"price":2.100000000000001,"min":["GBP",5.40],"max":["GBP",1e2]}'
    account = '"betslip_id":"x","bookie":"b","username":"u","status":{"code":"success"}'
    message = f'["pmm",{{{account},"price_list":[{{"effective":{offer}}}]}}]'
    found = redacted(f'{{"ts":1477526400.120,"data":[{message}]}}'.encode())
    assert f'"price_list":[{{"effective":{offer}}}]' in found
    assert found.startswith('{"ts":1477526400.120,')


def test_what_decides_is_kept_and_other_words_are_replaced() -> None:
    statuses = [{"code": code, "reason": "Ann"} for code in ("success", "failed", "blacklist", "maintenance")]
    reasons = ["timeout", "explicit_close_request", "stale", "Ann"]
    offers = [{"effective": {"price": 2, "min": ["JPY", 1], "max": ["JPY", 5]}}]
    account = {"betslip_id": "17", "bookie": "bf", "username": "u"}
    messages = [["pmm", {**account, "status": status, "price_list": offers}] for status in statuses]
    messages += [["betslip_closed", {"betslip_id": "17", "close_reason": reason}] for reason in reasons]
    messages += [["betslip", {"betslip_id": "17", "is_open": False, "customer_username": None}], ["orders", {"x": 1}]]
    found = json.loads(redacted(messages))
    assert [body["status"] for _, body in found[:4]] == [
        {"code": code, "reason": "redacted"} for code in ("success", "failed", "blacklist", "redacted")
    ]
    assert [body["price_list"] for _, body in found[:4]] == [offers] * 4
    assert [body["close_reason"] for _, body in found[4:8]] == [*reasons[:3], "redacted"]
    id_ = found[8][1].pop("betslip_id")
    assert [body["betslip_id"] for _, body in found[:8]] == [id_] * 8
    assert found[8:] == [["betslip", {"customer_username": None, "is_open": False}], ["redacted", {}]]


def test_the_answer_keeps_the_places_of_invalid_messages_and_no_values() -> None:
    answer = {"error": "invalid_request", "messages": [{"index": 3, "error": {"min": ["unknown currency 'ANN'"]}}]}
    request = {"path": "/betslips/messages", "body": MESSAGES}
    (case,) = Redactor(b"key").redact([{**CASE, "request": request, "expect": {"status": 400, "body": answer}}])
    assert case["expect"] == {"status": 400, "body": {"error": "invalid_request", "messages": [{"index": 3}]}}


@pytest.mark.parametrize("wrong", [b'{"ts":1,"ts":2,"data":[]}', b"[NaN]", b"x", b""])
def test_cases_with_messages_that_are_not_json_are_left_out(wrong: bytes) -> None:
    encoded = base64.b64encode(wrong).decode()
    redactor = Redactor(b"key")
    request = {"path": "/betslips/messages", "body_b64": encoded}
    cases = [{**CASE, "request": request}, {**CASE, "given": {"betslips": [{"messages_b64": encoded}]}}]
    assert (list(redactor.redact(cases)), redactor.left_out) == ([], 2)
