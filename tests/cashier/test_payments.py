"""Payments over HTTP: idempotent by key, in one step or two."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from tests.desk import Desk
from tests.test_commands import OF_ANN as OF_UID_7
from tests.test_commands import Shell
from tests.world import OK, JsonReply, bet, result
from wallet_hooks import clock
from wallet_hooks.cashier import service
from wallet_hooks.customers.models import PaymentKey
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import reading, writing
from wallet_hooks.ledger.models import Transaction

OF_ANN = "/v1/customers/ann"
PAY = {"method": "card", "amount": ["EUR", 25.5], "reference": "P1"}


def pay(desk: Desk, kind: str = "deposits", *, key: str | None = "k1", who: str = "boss", **given: Any) -> JsonReply:
    headers = {} if key is None else {"Idempotency-Key": key}
    return desk.call(who, "POST", f"{OF_ANN}/{kind}/", PAY | given, headers=headers)


def test_a_repeated_deposit_is_done_once_and_gets_the_same_answer(desk: Desk) -> None:
    first = pay(desk)
    assert first.status == 200
    assert {key: first.body["data"][key] for key in ("kind", "status", "amount", "method", "reference")} == {
        "kind": "deposit", "status": "done", "amount": ["EUR", 25.5], "method": "card", "reference": "P1",
    }  # fmt: skip
    assert pay(desk) == first
    assert pay(desk, key="k2") == first, "the same reference is the same payment"
    assert desk.world.balance() == "125.50"
    assert desk.world.house_balance("psp:card") == 2550
    assert desk.world.differences() == []


@pytest.mark.parametrize(
    "given", [{"amount": ["EUR", 25.51]}, {"method": "bank"}, {"reference": "P2"}, {"reserve": True}], ids=str
)
def test_a_key_with_other_facts_is_a_conflict(desk: Desk, given: dict[str, Any]) -> None:
    pay(desk)
    reply = pay(desk, **given)
    assert (reply.status, reply.body["code"]) == (400, "conflict")
    assert (
        desk.call("boss", "POST", "/v1/customers/bob/deposits/", PAY, headers={"Idempotency-Key": "k1"}).status == 400
    )
    assert (desk.world.balance(), desk.world.balance("8")) == ("125.50", "100.00")


def test_a_key_that_a_repetition_had_makes_no_other_payment(desk: Desk) -> None:
    first = pay(desk)
    assert pay(desk, key="k2") == first
    other: Any = {"reference": "P2", "amount": ["EUR", 7]}
    assert (pay(desk, key="k2", **other).status, pay(desk, key="k2")) == (400, first)
    assert pay(desk, key="k3", **other).status == 200
    assert desk.world.balance() == "132.50"


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has one writer at a time
@pytest.mark.parametrize("is_new", [True, False])
def test_a_key_that_another_request_claims_meanwhile_is_a_conflict(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, is_new: bool
) -> None:
    pay(desk)
    headers = {"Session": desk.token("boss"), "Idempotency-Key": "k2"}
    repetition, new = (OF_ANN, PAY), ("/v1/customers/bob", PAY | {"reference": "P2"})
    calls = [repetition, new] if is_new else [new, repetition]
    look_up = service._earlier_payment

    def send() -> int:
        customer, body = calls.pop()
        return desk.world.app.test_client().post(f"{customer}/deposits/", json=body, headers=headers).status_code

    def look_up_before_another_request(*arguments: Any) -> Any:
        found = look_up(*arguments)
        if calls:
            assert send() == 200
        return found

    monkeypatch.setattr(service, "_earlier_payment", look_up_before_another_request)
    assert send() == 400
    assert desk.world.balance("8") == ("100.00" if is_new else "125.50")


def test_a_payment_of_an_earlier_release_is_found_beside_the_key_of_a_repetition(desk: Desk) -> None:
    """That release does not look at the keys of repetitions."""
    first = pay(desk)
    assert pay(desk, key="k2") == first
    with writing(desk.world.engine) as session:
        session.execute(delete(PaymentKey).where(PaymentKey.key == "k2"))
    other: Any = {"reference": "P2", "amount": ["EUR", 7]}
    second = pay(desk, key="k2", **other)
    with writing(desk.world.engine) as session:
        session.execute(update(PaymentKey).values(payment_id=first.body["data"]["id"]).where(PaymentKey.key == "k2"))
    assert pay(desk, key="k2", **other) == second
    assert second.status == 200


def test_a_key_is_of_one_payment_whoever_comes_first(desk: Desk) -> None:
    """A repetition and a new payment of another customer, at once."""
    pay(desk)
    headers = {"Session": desk.token("boss"), "Idempotency-Key": "k2"}
    calls = [(OF_ANN, PAY), ("/v1/customers/bob", PAY | {"reference": "P2"})]

    def send(number: int) -> int:
        customer, body = calls[number % 2]
        return desk.world.app.test_client().post(f"{customer}/deposits/", json=body, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(8)))
    assert sorted(map(set, (statuses[::2], statuses[1::2])), key=str) == [{200}, {400}]


@pytest.mark.parametrize("engine_name", ["postgresql"])  # SQLite has no locks of rows
def test_a_token_waits_for_no_customer_of_another_brand(desk: Desk) -> None:
    who, headers = f"token:{desk.api_token('cashier', 'acme')}", {"Idempotency-Key": "k"}
    with writing(desk.world.of("nordbet")) as session:
        customer_by_uid(session, client="nordbet", uid="7", lock=True)
        reply = desk.call(who, "POST", "/v1/customers/freja/withdrawals/", PAY, headers=headers)
    assert (reply.status, reply.body["code"]) == (404, "not_found")


def test_thirty_concurrent_deposits_with_one_key_are_done_once(desk: Desk) -> None:
    tokens = [{"Session": desk.token("boss"), "Idempotency-Key": "k1"} for _ in range(30)]
    with ThreadPoolExecutor(15) as pool:
        replies = list(
            pool.map(lambda headers: desk.call(None, "POST", f"{OF_ANN}/deposits/", PAY, headers=headers), tokens)
        )
    assert {reply.status for reply in replies} == {200}
    assert len({str(reply.body) for reply in replies}) == 1
    assert desk.world.balance() == "125.50"


def test_a_payment_is_booked_when_it_has_the_customers_lock(desk: Desk) -> None:
    """Not when it arrived: what it waited for is booked before it, and a statement is in the order of time."""
    desk.world.configure(session_idle=10 * 86_400)  # on a busy machine the call begins after the clock has moved
    headers = {"Session": desk.token("boss"), "Idempotency-Key": "k1"}
    before = clock.now().replace(hour=12, minute=0)
    after = before + timedelta(days=1)
    with ThreadPoolExecutor(1) as pool, clock.restored_wall_clock():
        clock.set_now(before)
        with writing(desk.world.engine) as session:
            customer_by_uid(session, client="acme", uid="7", lock=True)
            paying = pool.submit(desk.call, None, "POST", f"{OF_ANN}/deposits/", PAY, headers=headers)
            time.sleep(0.3)
            clock.set_now(after)
        assert paying.result().status == 200
    with reading(desk.world.engine) as session:
        (booked_on,) = session.scalars(
            select(Transaction.booked_on)
            .where(Transaction.kind == "deposit")
            .where(Transaction.reference.contains("P1"))
        )
    assert booked_on == after.date()


def test_a_withdrawal_above_the_balance_is_refused(desk: Desk) -> None:
    desk.world.place(bet(1, "40.00"))
    reply = pay(desk, "withdrawals", amount=["EUR", 60.01])
    assert (reply.status, reply.body["code"]) == (400, "insufficient_funds")
    assert pay(desk, "withdrawals", amount=["EUR", 60]).status == 200, "a refusal does not use up its key"
    assert desk.world.balance() == "0.00"


def test_concurrent_withdrawals_take_at_most_the_balance(desk: Desk) -> None:
    headers = [{"Session": desk.token("boss"), "Idempotency-Key": f"k{n}"} for n in range(10)]

    def withdraw(number: int) -> int:
        body = PAY | {"amount": ["EUR", 30], "reference": f"P{number}"}
        return desk.call(None, "POST", f"{OF_ANN}/withdrawals/", body, headers=headers[number]).status

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(withdraw, range(10))) == [200] * 3 + [400] * 7
    assert desk.world.balance() == "10.00"


def test_a_deposit_in_two_steps_is_credited_when_it_is_confirmed(desk: Desk) -> None:
    reserved = pay(desk, reserve=True)
    assert reserved.body["data"]["status"] == "reserved"
    assert desk.world.balance() == "100.00"
    own = f"{OF_ANN}/deposits/{reserved.body['data']['id']}"
    for _ in range(2):
        assert desk.ok("boss", "POST", f"{own}/confirm/")["status"] == "done"
    assert desk.world.balance() == "125.50"
    assert pay(desk, reserve=True) == reserved, "the first answer, although it was confirmed since"
    assert desk.call("boss", "POST", f"{own}/fail/").body["code"] == "already_finished"


def test_a_failed_deposit_is_not_credited_and_cannot_be_confirmed(desk: Desk) -> None:
    own = f"{OF_ANN}/deposits/{pay(desk, reserve=True).body['data']['id']}"
    for _ in range(2):
        assert desk.ok("boss", "POST", f"{own}/fail/")["status"] == "failed"
    assert desk.call("boss", "POST", f"{own}/confirm/").body["code"] == "already_finished"
    assert desk.world.balance() == "100.00"


def test_of_concurrent_confirm_and_fail_one_takes_effect(desk: Desk) -> None:
    own = f"{OF_ANN}/deposits/{pay(desk, reserve=True).body['data']['id']}"
    tokens = [{"Session": desk.token("boss")} for _ in range(10)]

    def finish(number: int) -> str:
        step = "confirm" if number % 2 else "fail"
        reply = desk.call(None, "POST", f"{own}/{step}/", headers=tokens[number])
        return step if reply.status == 200 else "refused"

    with ThreadPoolExecutor(10) as pool:
        outcomes = set(pool.map(finish, range(10)))
    assert outcomes in ({"confirm", "refused"}, {"fail", "refused"})
    assert desk.world.balance() == ("125.50" if "confirm" in outcomes else "100.00")


def test_only_a_reserved_deposit_of_this_customer_can_be_confirmed(desk: Desk) -> None:
    done = pay(desk).body["data"]["id"]
    reserved = pay(desk, key="k2", reference="P2", reserve=True).body["data"]["id"]
    for path in (f"ann/deposits/{done}", f"bob/deposits/{reserved}", "ann/deposits/999"):
        assert desk.call("boss", "POST", f"/v1/customers/{path}/confirm/").status == 404


def test_an_adjustment_credits_or_debits_with_a_reason_and_a_key(desk: Desk) -> None:
    token = f"token:{desk.api_token('finance')}"
    body = {"amount": ["EUR", 5], "reference": "A1", "reason": "chargeback 17"}
    for key, more in (("a", {}), ("b", {"take": True, "reference": "A2"})):
        headers = {"Idempotency-Key": key}
        assert desk.call(token, "POST", f"{OF_ANN}/adjustments/", body | more, headers=headers).status == 200
        assert desk.world.balance() == ("105.00" if key == "a" else "100.00")
    assert desk.call(token, "POST", f"{OF_ANN}/adjustments/", {"amount": ["EUR", 5], "reference": "A3"}).status == 400


@pytest.mark.parametrize(
    ("key", "given", "code"),
    [
        (None, {}, "idempotency_key_required"),
        ("", {}, "bad_idempotency_key"),
        ("x" * 101, {}, "bad_idempotency_key"),
        ("k", {"reference": " R1"}, "bad_reference"),
        ("k", {"reference": "R1 "}, "bad_reference"),
        ("k", {"amount": ["EUR", 0]}, "bad_amount"),
        ("k", {"amount": ["EUR", -5]}, "validation_error"),
        ("k", {"amount": ["GBP", 5]}, "wrong_currency"),
        ("k", {"amount": ["EUR", 0.001]}, "validation_error"),
        ("k", {"amount": ["EUR", 1e13]}, "validation_error"),
        ("k", {"amount": 5}, "validation_error"),
        ("k", {"method": "../x"}, "bad_method"),
        ("k", {"method": ""}, "validation_error"),
        ("k", {"method": "opening"}, "bad_method"),
        ("k", {"reference": "x" * 101}, "validation_error"),
        ("k", {"more": 1}, "validation_error"),
    ],
    ids=str,
)
def test_an_invalid_payment_is_refused(shared_desk: Desk, key: str | None, given: dict[str, Any], code: str) -> None:
    reply = pay(shared_desk, key=key, **given)
    assert (reply.status, reply.body["code"]) == (400, code)
    assert shared_desk.world.balance() == "100.00"


def test_a_blank_reason_of_an_adjustment_is_refused(desk: Desk) -> None:
    assert adjust(desk, amount=["EUR", 5], reference="A1", reason="  ").body["code"] == "validation_error"
    adjustment = ("cashier", "adjust", *OF_UID_7, "--amount", "5.00", "--reference", "A1", "--reason", "  ")
    ran = Shell(desk.world.settings.database_url).run(*adjustment)
    assert (ran.returncode, "bad_reason" in ran.stderr) == (1, True)
    assert desk.world.balance() == "100.00"


def adjust(desk: Desk, **given: Any) -> JsonReply:
    headers = {"Idempotency-Key": given["reference"]}
    token = f"token:{desk.api_token('finance')}"
    return desk.call(token, "POST", f"{OF_ANN}/adjustments/", {"reason": "x"} | given, headers=headers)


def test_the_credit_limit_cannot_be_withdrawn(desk: Desk) -> None:
    desk.world.deposit("355.99")
    desk.ok("boss", "PATCH", f"{OF_ANN}/", {"credit_limit": ["EUR", 100]})
    for amount in (555, 456):
        reply = pay(desk, "withdrawals", amount=["EUR", amount])
        assert (reply.status, reply.body["code"]) == (400, "insufficient_funds")
        reply = adjust(desk, amount=["EUR", amount], take=True, reference="A1")
        assert (reply.status, reply.body["code"]) == (400, "insufficient_funds"), "adjustments neither"
    ran = Shell(desk.world.settings.database_url).run(
        "cashier", "withdraw", *OF_UID_7, "--amount", "456.00", "--reference", "P1"
    )
    assert (ran.returncode, "insufficient_funds" in ran.stderr, "455.99 EUR" in ran.stderr) == (1, True, True)
    assert desk.world.balance() == "455.99"
    assert desk.world.place(bet(1, "555.99")) == OK, "the credit limit can be staked"
    assert desk.world.balance() == "-100.00"
    assert pay(desk, "withdrawals", amount=["EUR", 0.01]).body["code"] == "insufficient_funds"
    assert adjust(desk, amount=["EUR", 100], reference="A2").status == 200, "crediting needs no balance"
    desk.world.settle(result(1, "455.99"))
    assert pay(desk, "withdrawals", amount=["EUR", 455.99]).status == 200
    assert desk.world.balance() == "0.00"


REFUSED_CUSTOMERS = {
    "customer_inactive": {"active": False},
    "customer_locked": {"locked": True},
    "customer_expired": {"expires_at": "2020-01-01"},
}


@pytest.mark.parametrize("code", REFUSED_CUSTOMERS)
def test_an_inactive_locked_or_expired_customer_cannot_deposit(desk: Desk, code: str) -> None:
    done = pay(desk)
    desk.ok("boss", "PATCH", f"{OF_ANN}/", REFUSED_CUSTOMERS[code])
    for reserve in (False, True):
        reply = pay(desk, key="k2", reference="P2", reserve=reserve)
        assert (reply.status, reply.body["code"]) == (400, code)
    ran = Shell(desk.world.settings.database_url).run(
        "cashier", "deposit", *OF_UID_7, "--amount", "5.00", "--reference", "P2"
    )
    assert (ran.returncode, code in ran.stderr) == (1, True)
    assert pay(desk) == done, "a repetition gets its first answer"
    assert pay(desk, "withdrawals", key="w").status == 200, "own money can be withdrawn"
    assert adjust(desk, amount=["EUR", 5], reference="A1").status == 200
    assert desk.world.balance() == "105.00"
    assert desk.world.exceptions() == []


@pytest.mark.parametrize("code", REFUSED_CUSTOMERS)
def test_a_reserved_deposit_of_a_refused_customer_is_credited_and_raises_an_exception(desk: Desk, code: str) -> None:
    reserved = pay(desk, reserve=True).body["data"]["id"]
    desk.ok("boss", "PATCH", f"{OF_ANN}/", REFUSED_CUSTOMERS[code])
    for _ in range(2):
        assert desk.ok("boss", "POST", f"{OF_ANN}/deposits/{reserved}/confirm/")["status"] == "done"
    assert desk.world.balance() == "125.50"
    shell = Shell(desk.world.settings.database_url)
    desk.world.settle(result(404))
    payment, unknown_bet = json.loads(shell.ok("exceptions", "list", "--json"))
    assert {key: payment[key] for key in ("kind", "brand", "payment", "subject", "bet")} == {
        "kind": f"deposit_{code}", "brand": "acme", "payment": reserved, "subject": "P1", "bet": None,
    }  # fmt: skip
    assert (unknown_bet["kind"], unknown_bet["bet"], unknown_bet["payment"]) == ("unknown_bet", "404", None)
    first, second = shell.ok("exceptions", "list").splitlines()
    assert f"deposit_{code}" in first
    assert f"payment {reserved} of acme  P1" in first
    assert "betflex:acme:404" in second
    shell.ok("exceptions", "resolve", str(payment["id"]), "--reason", "paid back")
    assert [row["kind"] for row in json.loads(shell.ok("exceptions", "list", "--json"))] == ["unknown_bet"]
    assert desk.world.differences() == []


def test_confirming_a_deposit_of_an_active_customer_raises_no_exception(desk: Desk) -> None:
    reserved = pay(desk, reserve=True).body["data"]["id"]
    desk.ok("boss", "POST", f"{OF_ANN}/deposits/{reserved}/confirm/")
    assert desk.world.exceptions() == []
