"""Betslip messages: intake from a provider, the state that they leave, and who sees it."""

import json
import threading
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from freezegun import freeze_time
from sqlalchemy import select, update

from tests.desk import Desk
from tests.identity.test_credentials import SECRET, bearer, call, token
from tests.test_commands import Shell
from tests.world import bet
from wallet_hooks.betslips.messages import BETSLIP, CLOSED, PMM
from wallet_hooks.betslips.models import Betslip
from wallet_hooks.betslips.service import prune
from wallet_hooks.database import has_row_locks, reading, writing
from wallet_hooks.deliveries.models import Delivery

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ID = "b2e936565fea4d778c38269ab1667f17"
# The document's example, as printed.
PMM_BODY: dict[str, Any] = json.loads("""{
"betslip_id": "b2e936565fea4d778c38269ab1667f17",
"sport": "fb",
"event_id": "2016-10-26,245,234",
"bookie": "bf",
"username": "_40a78ed8_",
"bet_type": "for,h",
"status": {"code": "success"},
"price_list": [
{
"bookie": {"price": 2.16, "max": ["GBP", 5.4], "min": ["GBP", 2.0]},
"effective": {"price": 2.1368, "max": ["GBP", 5.4], "min": ["GBP", 2.0]}
},
{
"bookie": {"price": 2.12, "min": ["GBP", 2.0], "max": ["GBP", 278.57]},
"effective": {"price": 2.0976, "min": ["GBP", 2.0], "max": ["GBP", 278.57]}
}
]
}""")
BETSLIP_BODY = {"betslip_id": ID, "sport": "fb", "customer_username": "ANN", "is_open": True, "more": {"kept": 1.50}}
OK = (200, {"status": "OK"})


def post(desk: Desk, body: Any) -> tuple[int, Any]:
    reply = desk.world.post("/betslips/messages", body)
    return reply.status, reply.body


def pmm(**changes: Any) -> list[Any]:
    return [PMM, {**deepcopy(PMM_BODY), **changes}]


def shown(desk: Desk, path: str = f"/v1/betslips/{ID}/") -> Any:
    return desk.ok("ann", "GET", path)


@pytest.mark.parametrize(
    "body",
    [
        [BETSLIP, BETSLIP_BODY],
        [[BETSLIP, BETSLIP_BODY]],
        {"ts": 1477526400.123, "data": [[BETSLIP, BETSLIP_BODY]]},
    ],
)
def test_a_message_an_array_and_a_frame_are_taken(desk: Desk, body: Any) -> None:
    assert post(desk, body) == OK
    assert post(desk, [pmm()]) == OK
    found = shown(desk)
    assert (found["is_open"], found["close_reason"], found["late_prices"]) == (True, None, 0)
    assert found["betslip"] == {**BETSLIP_BODY, "more": {"kept": Decimal("1.50")}}
    assert found["accounts"] == [json.loads(json.dumps(PMM_BODY), parse_float=Decimal)]
    assert found["best_price"] == Decimal("2.1368")
    assert shown(desk, f"/v1/betslips/{ID}/?stake=1.99")["best_price"] is None
    assert shown(desk, f"/v1/betslips/{ID}/?stake=2")["best_price"] == Decimal("2.1368")


def test_numbers_are_shown_exactly_as_they_were_sent(desk: Desk) -> None:
    text = f'[["betslip",{{"betslip_id":"{ID}","customer_username":"ann","x":1.50,"y":[1e2,{{"z":-0.0}}]}}]]'
    assert desk.world.post("/betslips/messages", text.encode()).status == 200
    answer = desk.world.client.get(f"/v1/betslips/{ID}/", headers={"Session": desk.token("ann")})
    assert '"x":1.50,"y":[1e2,{"z":-0.0}]' in answer.text


@pytest.mark.parametrize("code", ["failed", "blacklist"])
def test_an_account_that_fails_is_shown_with_its_last_prices(desk: Desk, code: str) -> None:
    status = {"code": code, "reason": "timeout"}
    first, last = PMM_BODY["price_list"], [{"effective": {"price": 3.10, "min": ["GBP", 1], "max": ["GBP", 2]}}]
    assert post(desk, {"ts": 1, "data": [[BETSLIP, BETSLIP_BODY], pmm(price_list=first)]}) == OK
    assert post(desk, {"ts": 3, "data": [pmm(price_list=last)]}) == OK
    assert post(desk, {"ts": 2, "data": [pmm(price_list=first)]}) == OK, "an older one"
    body = {name: value for name, value in PMM_BODY.items() if name != "price_list"} | {"status": status}
    assert post(desk, {"ts": 4, "data": [["pmm", body]]}) == OK
    found = shown(desk)
    assert (found["bounds"], found["best_price"]) == ([], None)
    (account,) = found["accounts"]
    assert (account["status"], account["price_list"]) == (status, json.loads(json.dumps(last), parse_float=Decimal))
    listed = desk.ok("ann", "GET", "/v1/betslips/")
    assert listed[0]["accounts"] == [account]
    assert post(desk, {"ts": 5, "data": [pmm(price_list=first)]}) == OK
    assert shown(desk)["best_price"] == Decimal("2.1368")


def test_the_best_price_of_a_stake_is_one_that_the_bounds_permit(desk: Desk) -> None:
    prices = [{"effective": {"price": 2, "min": ["GBP", 2.0000000000000004], "max": ["GBP", 5]}}]
    assert post(desk, [[BETSLIP, BETSLIP_BODY], pmm(price_list=prices)]) == OK
    found = shown(desk, f"/v1/betslips/{ID}/?stake=2.00")
    assert (found["bounds"][0]["min"], found["best_price"]) == (["GBP", 2], 2)


def test_optional_fields_may_be_null(desk: Desk) -> None:
    prices = [{"bookie": None, "effective": {"price": 2, "min": ["GBP", 1], "max": ["GBP", 5]}}]
    assert post(desk, [[BETSLIP, BETSLIP_BODY | {"is_open": None}], pmm(price_list=prices)]) == OK
    assert shown(desk)["is_open"]
    assert shown(desk)["bounds"] != {}


@pytest.mark.parametrize("null_at", [0, 1, 2])
def test_an_entry_without_a_bookmakers_offer_keeps_the_rest_of_the_list(desk: Desk, null_at: int) -> None:
    offers = [{"price": 2, "min": ["GBP", 1], "max": ["GBP", most]} for most in (5, 70, 900)]
    prices = [{"effective": offer} | ({"bookie": None} if at == null_at else {}) for at, offer in enumerate(offers)]
    assert post(desk, [[BETSLIP, BETSLIP_BODY], pmm(price_list=prices)]) == OK
    answer = shown(desk)
    assert answer["accounts"][0]["price_list"] == prices
    assert answer["bounds"] == [{"min": ["GBP", 1], "max": ["GBP", 975]}]


def test_fields_that_decide_nothing_are_checked_for_their_type_alone(desk: Desk) -> None:
    opened = BETSLIP_BODY | {"sport": "x" * 500, "event_id": "a\nb", "accounts": [{"a": 1}, None]}
    assert post(desk, [[BETSLIP, opened], pmm(event_id="x" * 500, bet_type="\t")]) == OK
    closed = {"betslip_id": ID, "close_reason": "x" * 500 + "\n\0"}
    assert post(desk, [[CLOSED, closed]]) == OK
    answer = shown(desk)
    assert (answer["betslip"], answer["is_open"], answer["close_reason"]) == (opened, False, closed["close_reason"])


def test_a_customer_who_cannot_exist_is_nobody(desk: Desk) -> None:
    assert post(desk, [[BETSLIP, BETSLIP_BODY | {"customer_username": "an\0n"}]]) == OK
    assert post(desk, [[BETSLIP, BETSLIP_BODY]]) == OK
    assert shown(desk)["is_open"]


def test_prices_of_an_account_without_success_are_not_read(desk: Desk) -> None:
    failed = pmm(status={"code": "failed", "reason": "timeout"}, price_list=[{"x": 1}])
    assert post(desk, [[BETSLIP, BETSLIP_BODY], pmm(), failed]) == OK
    answer = shown(desk)
    assert (answer["accounts"], answer["bounds"]) == ([failed[1]], [])


def test_bad_messages_are_named_and_the_others_taken(desk: Desk) -> None:
    failed = {"code": "failed"}
    body = [
        pmm(bookie="b1"),
        pmm(bookie=7),
        ["unknown", {"x": 1}],
        ["pmm"],
        pmm(status=failed),
        pmm(bookie="b2", status=failed | {"reason": "timeout"}),
        pmm(price_list=[{"effective": {"price": 0, "min": ["GBP", 1], "max": ["GBP", 1]}}]),
        [BETSLIP, {"sport": "fb"}],
        [BETSLIP, BETSLIP_BODY],
    ]
    status, answer = post(desk, body)
    assert (status, answer["error"]) == (400, "invalid_request")
    assert [one["index"] for one in answer["messages"]] == [1, 3, 4, 6, 7]
    assert [account["bookie"] for account in shown(desk)["accounts"]] == ["b1", "b2"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        5,
        "x",
        {"data": 1},
        {"ts": "now", "data": [["pmm", {}]]},
        {"ts": 10**60, "data": []},
        [["pmm", {}]] * 1001,
    ],
)
def test_a_body_that_is_none_of_the_three_is_refused_and_stored(desk: Desk, body: Any) -> None:
    status, answer = post(desk, body)
    assert (status, answer["error"]) == (400, "invalid_request")
    with reading(desk.world.engine) as session:
        stored = session.scalars(select(Delivery)).one()
    assert (stored.path, stored.status, json.loads(stored.answer)) == ("/betslips/messages", 400, answer)
    assert json.loads(stored.body) == body
    assert desk.world.count("betslip_message") == 0


def test_a_bad_instant_of_a_frame_is_named(desk: Desk) -> None:
    _, answer = post(desk, {"ts": "now", "data": [pmm()]})
    assert list(answer["fields"]) == ["ts"]


@pytest.mark.parametrize(
    "price", ["1e99999999999999999999", "1e99", "1e-99", "9" * 4400, "-1", "0e5", '"2"', "null", "true", "[]"]
)
def test_prices_that_are_none_are_bad_messages(shared_desk: Desk, price: str) -> None:
    offer = f'{{"price":{price},"min":["GBP",1],"max":["GBP",2]}}'
    account = '"betslip_id":"x","bookie":"b","username":"u","status":{"code":"success"}'
    text = f'[["pmm",{{{account},"price_list":[{{"effective":{offer}}}]}}]]'
    status, answer = post(shared_desk, text.encode())
    assert (status, [one["index"] for one in answer["messages"]]) == (400, [0])


def test_hostile_texts_are_stored_and_shown(desk: Desk) -> None:
    text = f'[["betslip",{{"betslip_id":"{ID}","customer_username":"ann","x":"\\u0000\\ud800"}}]]'
    assert post(desk, text.encode()) == OK
    assert shown(desk)["betslip"]["x"] == "\x00\ud800"


def test_only_a_provider_may_send(desk: Desk) -> None:
    response = desk.world.client.post("/betslips/messages", json=[pmm()], environ_base={"REMOTE_ADDR": "203.0.113.9"})
    assert (response.status_code, response.get_json()) == (401, {"error": "unauthenticated"})


def test_messages_are_stored_as_deliveries_too(desk: Desk) -> None:
    post(desk, [pmm()])
    assert desk.world.count("delivery") == 1


def test_a_closed_betslip_stays_closed(desk: Desk) -> None:
    post(desk, [[BETSLIP, BETSLIP_BODY], pmm()])
    post(desk, [CLOSED, {"betslip_id": ID, "close_reason": "timeout"}])
    post(desk, [[BETSLIP, BETSLIP_BODY], pmm(username="later")])
    found = shown(desk)
    assert (found["is_open"], found["close_reason"], found["late_prices"]) == (False, "timeout", 1)
    assert [account["username"] for account in found["accounts"]] == ["_40a78ed8_"]


def test_an_end_takes_out_prices_that_are_newer_than_it(desk: Desk) -> None:
    post(desk, {"ts": 4, "data": [[BETSLIP, BETSLIP_BODY], pmm(username="before")]})
    post(desk, {"ts": 6, "data": [pmm(username="before", sport="later"), pmm(username="after")]})
    post(desk, {"ts": 5, "data": [[CLOSED, {"betslip_id": ID}]]})
    found = shown(desk)
    assert [(account["username"], account["sport"]) for account in found["accounts"]] == [("before", "fb")]
    assert (found["is_open"], found["late_prices"]) == (False, 2)


def test_concurrent_requests_for_one_betslip_lose_nothing(desk: Desk) -> None:
    def send_some(username: str) -> None:
        for most in range(1, 11):
            offer = {"price": 2, "min": ["EUR", 1], "max": ["EUR", most]}
            body = [pmm(username=username, price_list=[{"effective": offer}])]
            assert desk.world.repeat("/betslips/messages", body).status == 200

    post(desk, [BETSLIP, BETSLIP_BODY])
    threads = [threading.Thread(target=send_some, args=(username,)) for username in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(desk.world.engine) as session:
        assert json.dumps(session.scalars(select(Betslip.bounds)).one()) == '{"EUR": [100, 4000]}'
    assert shown(desk)["bounds"] == [{"min": ["EUR", Decimal("1.00")], "max": ["EUR", Decimal("40.00")]}]
    assert desk.world.count("betslip_message") == 41


@pytest.mark.parametrize("number", ["1e-07", "1.4775264e+09", "1E5", "1e27"])
def test_numbers_may_have_the_exponents_of_a_double(desk: Desk, number: str) -> None:
    text = f'{{"ts":{number},"data":[["betslip",{{"betslip_id":"{ID}","expiry_ts":{number}}}]]}}'
    assert post(desk, text.encode()) == OK


def test_numbers_that_are_computed_in_floating_point_are_taken(desk: Desk) -> None:
    offer = {"price": 1.1 * 1.1, "min": ["EUR", 2.0000000000000004], "max": ["EUR", 5.4 * 51.6]}
    rounded = {"price": 2, "min": ["EUR", 2.001], "max": ["EUR", 0.009]}
    assert post(desk, [[BETSLIP, BETSLIP_BODY], pmm(price_list=[{"effective": offer}])]) == OK
    assert shown(desk)["bounds"] == [{"min": ["EUR", Decimal("2.00")], "max": ["EUR", Decimal("278.64")]}]
    assert post(desk, [pmm(price_list=[{"effective": rounded}])]) == OK
    assert shown(desk)["bounds"] == [{"min": ["EUR", Decimal("2.01")], "max": ["EUR", Decimal("0.00")]}]


def test_a_betslip_that_is_pruned_beside_its_message_is_created_again(desk: Desk) -> None:
    post(desk, [CLOSED, {"betslip_id": ID}])
    with writing(desk.world.engine) as session:
        session.execute(update(Betslip).values(changed_at=NOON - timedelta(days=99)))
    answers: list[Any] = []
    sending = threading.Thread(target=lambda: answers.append(post(desk, [[BETSLIP, BETSLIP_BODY]])))
    with writing(desk.world.engine) as session:
        assert prune(session, 10, now=NOON, retention_days=30) == 1
        sending.start()
        threading.Event().wait(0.2)  # the request waits for the lock
    sending.join()
    assert answers == [OK]
    assert shown(desk)["is_open"]


def test_a_locked_betslip_is_busy_and_bets_go_on(desk: Desk) -> None:
    if not has_row_locks(desk.world.engine):
        pytest.skip("SQLite locks the whole file")
    post(desk, [[BETSLIP, BETSLIP_BODY]])
    answers: list[Any] = []
    sending = [threading.Thread(target=lambda: answers.append(post(desk, [pmm()]))) for _ in range(15)]
    with writing(desk.world.engine) as session:
        session.scalars(select(Betslip).with_for_update()).one()
        for thread in sending:
            thread.start()
        assert desk.world.place(bet("b1", "1.00")).status == 200
        for thread in sending:
            thread.join()
    assert answers == [(503, {"error": "try_again"})] * 15


def test_only_the_role_admin_may_send(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    desk.world.provider(auth="scout-jwt", secrets=["env:ACME_SECRET"])
    body = json.dumps([BETSLIP, BETSLIP_BODY]).encode()
    for role, status in (("user", 403), ("tester", 403), ("admin", 200)):
        assert call(desk.world, bearer("acme", token(role=role)), body, "/betslips/messages").status == status


def test_betslips_are_seen_by_their_customer_alone(desk: Desk) -> None:
    post(
        desk,
        [[BETSLIP, BETSLIP_BODY], [BETSLIP, {"betslip_id": "other", "customer_username": "bob"}], pmm(betslip_id="x")],
    )
    assert [one["betslip_id"] for one in desk.ok("ann", "GET", "/v1/betslips/")] == [ID]
    assert desk.call("ann", "GET", "/v1/betslips/other/").status == 404
    assert desk.call("bob", "GET", f"/v1/betslips/{ID}/").status == 404
    assert desk.call("ann", "GET", "/v1/betslips/x/").status == 404


def test_lists_are_paged_newest_first(desk: Desk) -> None:
    post(desk, [[BETSLIP, {"betslip_id": f"b{number}", "customer_username": "ann"}] for number in range(5)])
    first = desk.call("ann", "GET", "/v1/betslips/?limit=2").body
    assert [one["betslip_id"] for one in first["data"]] == ["b4", "b3"]
    second = desk.call("ann", "GET", f"/v1/betslips/?limit=2&before={first['next']}").body
    assert [one["betslip_id"] for one in second["data"]] == ["b2", "b1"]


def test_commands_show_list_and_prune(desk: Desk) -> None:
    shell = Shell(desk.world.settings.database_url)
    with freeze_time(NOON):
        assert shell.ok("betslips", "list") == "no betslips\n"
        post(desk, [[BETSLIP, BETSLIP_BODY], pmm(betslip_id="stale")])
        post(desk, [CLOSED, {"betslip_id": ID}])
    shown_now = json.loads(shell.ok("betslips", "show", ID))
    assert (shown_now["brand"], shown_now["is_open"]) == ("acme", False)
    assert [one["type"] for one in shown_now["messages"]] == [BETSLIP, CLOSED]
    assert shell.run("betslips", "show", "unknown").returncode == 1
    assert len(json.loads(shell.ok("betslips", "list", "--json", "--brand", "acme"))) == 2
    with freeze_time(NOON + timedelta(days=29)):
        assert shell.ok("betslips", "prune") == "0 betslips deleted, 0 closed as stale\n"
    with freeze_time(NOON + timedelta(days=31)):
        assert shell.ok("betslips", "prune") == "1 betslips deleted, 1 closed as stale\n"
        (left,) = json.loads(shell.ok("betslips", "list", "--closed", "--json"))
        assert left["betslip_id"] == "stale"
        assert json.loads(shell.ok("betslips", "show", "stale"))["close_reason"] == "stale"
    with freeze_time(NOON + timedelta(days=62)):
        assert shell.ok("betslips", "prune") == "1 betslips deleted, 0 closed as stale\n"
    assert desk.world.count("betslip_message") == 0


def test_a_price_list_of_more_than_a_hundred_entries_is_bad(desk: Desk) -> None:
    status, answer = post(desk, [pmm(price_list=PMM_BODY["price_list"][:1] * 101), pmm(username="other")])
    assert (status, [one["index"] for one in answer["messages"]]) == (400, [0])


def test_a_number_is_no_betslip_id(desk: Desk) -> None:
    status, answer = post(desk, [[BETSLIP, {"betslip_id": 5}]])
    assert (status, [one["index"] for one in answer["messages"]]) == (400, [0])


@pytest.mark.parametrize("ts", ["1774000000000000.1234567890123456789012345", "1" * 18 + "." + "2" * 22])
def test_an_instant_that_is_too_long_to_store_is_refused(desk: Desk, ts: str) -> None:
    status, _ = post(desk, f'{{"ts":{ts},"data":[["betslip",{{"betslip_id":"{ID}"}}]]}}'.encode())
    assert status == 400
    assert post(desk, f'{{"ts":{ts[:40]},"data":[["betslip",{{"betslip_id":"{ID}"}}]]}}'.encode()) == OK


def test_an_id_that_no_bet_can_name_is_refused(desk: Desk) -> None:
    status, body = post(desk, [[BETSLIP, {"betslip_id": " x "}], [BETSLIP, {"betslip_id": "x"}]])
    assert (status, [one["index"] for one in body["messages"]]) == (400, [0])


def test_the_currency_of_bounds_stays_known_when_it_is_offered_no_more(desk: Desk) -> None:
    prices = deepcopy(PMM_BODY["price_list"][:1])
    prices[0]["effective"] = {"price": 2, "min": ["BTC", 0.00000001], "max": ["BTC", 1]}
    desk.world.configure(currencies={"BTC": 8})
    assert post(desk, [[BETSLIP, BETSLIP_BODY], [PMM, {**PMM_BODY, "price_list": prices}]]) == OK
    desk.world.configure(currencies={})
    assert shown(desk)["bounds"] == [{"min": ["BTC", Decimal("0.00000001")], "max": ["BTC", Decimal("1.00000000")]}]
    item = bet(1, "10.00")
    item["bet"]["extra"] = {"betslip_id": ID}
    assert desk.world.place(item).status == 200, "a bound without a rate restricts no bet"
    assert post(desk, [CLOSED, {"betslip_id": ID}]) == OK
    assert not shown(desk)["is_open"]
