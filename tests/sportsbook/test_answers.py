"""The answers table of the callbacks, row by row."""

import io
import json
from codecs import BOM_UTF8
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import text

from tests.world import OK, World, bet, error, failed, refund, result
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import writing
from wallet_hooks.sportsbook.routes import REJECTED_CAP

BAD_AMOUNTS = [
    "-1",
    "NaN",
    "1e3",
    "1.001",
    "",
    " 1",
    "1_000",
    "１２",
    "1,5",
    "0x1",
    "+1",
    ".5",
    "1.",
    "9" * 20,
    True,
    None,
]


def test_done_and_done_before_answer_alike(world: World) -> None:
    assert world.place(bet()) == OK
    assert world.place(bet()) == OK
    assert world.settle(result()) == OK
    assert world.settle(result()) == OK
    assert world.balance() == "115.00"


@pytest.mark.parametrize("amount", BAD_AMOUNTS, ids=repr)
def test_bad_amount_is_400_and_moves_nothing(shared_world: World, amount: Any) -> None:
    reply = shared_world.place(bet(amount=amount))
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")
    assert "amount" in reply.body["fields"]["bets"]["0"]["bet"]
    assert (shared_world.balance(), shared_world.count("wager")) == ("100.00", 0)


@pytest.mark.parametrize("literal", [b"1e3", b"-1", b"1.001", b"1E-2", b"99999999999999999999"])
def test_bad_json_number_as_amount_is_400(shared_world: World, literal: bytes) -> None:
    body = b'{"bets":[{"user":{"client":"acme","uid":7},"pool":{"client":"acme","currency":"EUR","game":"betflex",'
    body += b'"uid":1},"bet":{"uid":9,"amount":%s}}]}' % literal
    assert shared_world.post("/bets", body).status == 400
    assert shared_world.count("wager") == 0


def test_json_number_as_amount_is_read_exactly(world: World) -> None:
    assert world.place(bet(amount=10.10)) == OK
    assert world.balance() == "89.90"


@pytest.mark.parametrize(
    ("currency", "amount", "left"), [("JPY", "5", "95"), ("KWD", "0.001", "99.999"), ("EUR", "0.01", "99.99")]
)
def test_each_currency_has_its_own_decimals(world: World, currency: str, amount: str, left: str) -> None:
    world.customer("8", currency=currency, balance="100")
    assert world.place(bet(user=8, currency=currency, amount=amount)) == OK
    assert world.balance("8") == left
    one_too_many = amount + ("1" if "." in amount else ".1")
    assert world.place(bet(10, user=8, currency=currency, amount=one_too_many)).status == 400
    with_zeros = amount + ("000" if "." in amount else ".000")
    assert world.place(bet(user=8, currency=currency, amount=with_zeros)) == OK
    assert world.balance("8") == left, "trailing zeros are exact: it is the same bet"


@pytest.mark.parametrize("value", [None, "", "n/a", "-1", "21.005", "1e3", 10**40, True, ["21"], {}], ids=str)
@pytest.mark.parametrize("name", ["overdraw", "ip"])
def test_invalid_informative_fields_do_not_refuse_a_bet(world: World, name: str, value: Any) -> None:
    sent = bet()
    sent["pool" if name == "overdraw" else "user"][name] = value
    assert world.place(sent) == OK
    assert world.wager()["possible_payout"] is None


def test_the_brands_of_a_bet_are_one(world: World) -> None:
    world.brand("nordbet", id_=2)
    world.provider("nordbet")
    sent = bet()
    sent["pool"]["client"] = "nordbet"
    fields = {"bets": {"0": {"pool": {"client": ["not the brand that user.client names"]}}}}
    assert world.place(sent) == error(400, "invalid_request", fields=fields)
    assert world.balance() == "100.00"


@pytest.mark.parametrize(
    "body",
    [
        b" ",
        b"{",
        b"[]",
        b"null",
        b'{"bets":[]}',
        b'{"bets":{}}',
        b'{"bets":[{}]}',
        b'{"bets":[null]}',
        b'{"bets":NaN}',
        b'{"bets":[Infinity]}',
        b'{"bets":[],"bets":[]}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"bets":[]}',
        '{"bets":[]}'.encode("utf-16"),
        b'{"bets":"\xff"}',
        b"[" * 30_000,
        b"[" * 40 + b"]" * 40,
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
    ids=lambda body: repr(body[:24]),
)
@pytest.mark.parametrize("path", ["/bets", "/winners", "/bets/cancel"])
def test_missing_or_mistyped_fields_are_400(shared_world: World, path: str, body: bytes) -> None:
    before = shared_world.count("delivery")
    reply = shared_world.post(path, body)
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")
    assert reply.body["fields"]
    assert shared_world.count("delivery") == before + 1


def test_a_settlement_does_not_cancel(world: World) -> None:
    assert world.place(bet(1)) == OK
    reply = world.cancel(result(1, "0.00", outcome="lost"))
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")
    assert world.balance() == "90.00"
    assert world.settle(result(1, "0.00", outcome="lost")) == OK
    assert world.settle(refund(1)).status == 400, "nor does a cancel settle"


def test_requests_without_rights_are_stored_up_to_a_number_a_minute(world: World) -> None:
    world.provider(auth="hmac", secrets=["env:UNSET"])
    with freeze_time("2026-11-20T12:00:00Z") as moment:
        for _ in range(2):
            for uid in range(REJECTED_CAP + 5):
                assert world.place(bet(uid)) == error(401, "unauthenticated")
            moment.tick(60)
    assert world.count("delivery") == 2 * REJECTED_CAP


@pytest.mark.parametrize(
    "uid", ["x" * 65, "", "a\x00b", "a\nb", "\ud800", 5.7, -1, 10**70, True, None, [], {}], ids=repr
)
def test_bad_id_is_400(shared_world: World, uid: Any) -> None:
    assert shared_world.place(bet(uid)).status == 400
    assert shared_world.place(bet(user=uid)).status == 400
    assert shared_world.count("wager") == 0


OUTER_SPACE = [" 9", "9 ", " ", "\u00a09", "9\u3000", "\u20289"]


@pytest.mark.parametrize("id_", OUTER_SPACE, ids=repr)
@pytest.mark.parametrize("field", ["uid", "user", "pool", "client", "game"])
def test_an_id_with_outer_white_space_is_400(shared_world: World, field: str, id_: str) -> None:
    reply = shared_world.place(bet(**{field: id_}))
    assert (reply.status, reply.body["error"]) == (400, "invalid_request")
    assert "White space at the beginning or end is not allowed." in str(reply.body["fields"])
    assert (shared_world.balance(), shared_world.count("wager")) == ("100.00", 0)


def test_bets_stored_with_outer_white_space_are_settled_and_returned(world: World) -> None:
    """Earlier versions took them."""
    assert world.place(bet(1), bet(2), bet(3)) == OK
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE wager SET uid = ' ' || uid || ' '"))
        connection.execute(text("UPDATE customer SET uid = ' 7'"))
        connection.execute(text("UPDATE wager SET user_uid = ' 7'"))
    assert world.settle(result(" 1 ", user=" 7")) == OK
    assert world.cancel(refund(" 2 ", user=" 7")) == OK
    assert world.settle(result("3", user=" 7")).status == 404, "which is another id"
    assert world.balance(" 7") == "105.00"


def test_white_space_inside_an_id_is_significant(world: World) -> None:
    assert world.place(bet("9 1"), bet("91")) == OK
    assert world.balance() == "80.00"


def test_id_of_64_characters_and_unicode_is_taken(world: World) -> None:
    uid = "ß" * 63 + "🂡"
    assert world.place(bet(uid)) == OK
    assert world.settle(result(uid)) == OK
    assert world.wager(uid)["status"] == "settled"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("Application/JSON", 200),
        ("application/json;charset=utf8", 200),
        ('application/json; Charset="UTF-8"', 200),
        ("application/json; charset=utf-8;", 200),
        ("application/json; version=1", 200),
        ("application/json; charset=UTF8; version=1", 200),
        ('application/json; profile="a;charset=utf-16"', 200),
        ("application/json; charset=utf-16", 415),
        ("application/json; charset=latin1", 415),
        ("application/json; version=1; charset=utf-7", 415),
        ("application/jsonp", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("", 415),
    ],
)
def test_only_json_is_read(world: World, content_type: str, status: int) -> None:
    reply = world.post("/bets", {"bets": [bet()]}, content_type=content_type)
    assert reply.status == status
    assert world.balance() == ("90.00" if status == 200 else "100.00")


def test_byte_order_mark_before_the_json_is_skipped(world: World) -> None:
    assert world.post("/bets", BOM_UTF8 + json.dumps({"bets": [bet()]}).encode()) == OK
    assert world.balance() == "90.00"


def test_compressed_body_is_415(world: World) -> None:
    assert world.post("/bets", {"bets": [bet()]}, headers={"Content-Encoding": "gzip"}) == error(415, "not_json")


def test_body_over_the_cap_is_413_and_unread(world: World) -> None:
    world.configure(body_cap=2000)
    response = world.client.post("/bets", data=b" " * 2001, content_type="application/json")
    assert (response.status_code, response.json) == (413, {"error": "body_too_large"})


@pytest.mark.parametrize("length", [None, "", "abc", "-5", "100"])
def test_body_without_its_true_length_is_411(shared_world: World, length: str | None) -> None:
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/bets", "CONTENT_TYPE": "application/json"}
    environ |= {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "wsgi.url_scheme": "http", "REMOTE_ADDR": "127.0.0.1"}
    environ["wsgi.input"] = io.BytesIO(b'{"bets":[]}')
    if length is not None:
        environ["CONTENT_LENGTH"] = length
    statuses: list[str] = []
    body = shared_world.app.wsgi_app(environ, lambda status, *_: statuses.append(status))  # type: ignore[arg-type]
    assert b"".join(body) == b'{"error":"length_required"}'
    assert statuses == ["411 LENGTH REQUIRED"]


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("insufficient_funds", {}, {"amount": "100.01"}),
    ("credit_limit_exceeded", {"credit_limit": "50"}, {"amount": "150.01"}),
    ("event_stake_exceeded", {"stake_limit": "9.99"}, {}),
    ("customer_unknown", {}, {"user": 4711}),
    ("customer_unknown", {}, {"client": "nobody"}),
    ("customer_inactive", {"active": False}, {}),
    ("customer_locked", {"locked": True}, {}),
    ("customer_expired", {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, {}),
    ("betting_not_permitted", {"roles": ("customer",)}, {}),
    ("currency_not_supported", {}, {"currency": "USD"}),
    ("currency_not_supported", {}, {"currency": "QQQ"}),
]


@pytest.mark.parametrize(
    ("code", "customer", "facts"), REFUSALS, ids=lambda value: value if isinstance(value, str) else ""
)
@pytest.mark.all_together
def test_refusal_is_402_with_its_code_and_nothing_more(
    world: World, code: str, customer: dict[str, Any], facts: dict[str, Any]
) -> None:
    world.customer("8", **customer)
    user = facts.pop("user", 8)
    assert world.place(bet(user=user, **facts)) == error(402, code)
    facts["user"] = user
    assert world.balance("8") == "100.00"
    client = facts.get("client", "acme")
    wager = world.wager(client=client)
    assert (wager["status"], wager["refusal"], wager["transactions"]) == ("refused", code, [])


def test_unknown_bet_is_404(world: World) -> None:
    assert world.settle(result()) == failed(404, "unknown_bet")


def test_conflicts_are_409(world: World) -> None:
    world.place(bet())
    assert world.place(bet(amount="11.00")) == error(409, "conflict")
    world.settle(result())
    assert world.cancel(refund()) == failed(409, "bet_already_settled")
    world.settle(result(payout="0"))
    assert world.settle(result()) == failed(409, "superseded_settlement")


def test_unknown_path_and_method_are_answered_in_json(world: World) -> None:
    assert world.post("/nowhere", {}) == error(404, "not_found")
    response = world.client.get("/bets")
    assert (response.status_code, response.json) == (405, {"error": "method_not_allowed"})
    assert "POST" in response.headers["Allow"]


def test_every_answer_has_a_request_id(world: World) -> None:
    response = world.client.post("/bets", json={"bets": [bet()]})
    assert response.headers["X-Request-Id"] == world.wager()["deliveries"][0]["id"]


def test_full_queue_is_503_with_retry_after(world: World) -> None:
    world.configure(queue_size=0)
    response = world.client.post("/bets", json={"bets": [bet()]})
    assert (response.status_code, response.json) == (503, {"error": "try_again"})
    assert response.headers["Retry-After"] == "1"
    assert world.count("wager") == 0


def test_a_lock_timeout_is_503_and_writes_nothing(world: World) -> None:
    world.configure(lock_timeout=0.05)
    with writing(world.engine) as session:
        customer_by_uid(session, client="acme", uid="7", lock=True)
        assert world.place(bet()) == error(503, "try_again")
    assert world.place(bet()) == OK
    assert world.balance() == "90.00"
    assert [delivery["status"] for delivery in world.wager()["deliveries"]] == [200]


@pytest.mark.parametrize(("method", "path"), [("GET", "/bets"), ("POST", "/BETS"), ("PUT", "/v1/sessions/")])
def test_an_answer_of_no_endpoint_has_a_request_id(shared_world: World, method: str, path: str) -> None:
    answer = shared_world.client.open(path, method=method)
    assert answer.status_code in (404, 405)
    assert len(answer.headers["X-Request-Id"]) == 32
