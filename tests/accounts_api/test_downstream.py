"""Errors that only a failing database or a defect causes, over both transports."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tests.accounts_api.client import RPC_PATH, AccountClient
from wallet_hooks.accounts_api import funds, operations
from wallet_hooks.database import Fault

STATUSES = {"TIMEOUT_ERROR": 504, "SERVICE_BUSY": 503, "UNEXPECTED_ERROR": 500}


def raising(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def check(client: AccountClient, code: str, key: str) -> None:
    outcome = client.call("getAccountFunds", key=key)
    assert outcome.code == code
    assert outcome.status == (200 if "jsonrpc" in outcome.body else STATUSES[code])
    if "faultcode" in outcome.body:
        assert outcome.body["faultcode"] == "Server"


def test_a_database_that_answers_late_is_a_timeout(each: AccountClient) -> None:
    if each.desk.world.engine.dialect.name == "sqlite":
        pytest.skip("readers of SQLite wait for nobody")
    key, _ = each.new_keys("ann", "app")
    each.desk.world.configure(accounts_timeout=0.2)
    each.call("getAccountFunds", key=key)
    with each.desk.world.engine.begin() as connection:
        connection.execute(text("LOCK TABLE ledger_account"))
        check(each, "TIMEOUT_ERROR", key)
    each.desk.world.configure(accounts_timeout=20.0)
    assert each.code("getAccountFunds", key=key) is None


def test_a_transfer_that_waits_for_a_lock_is_a_timeout(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    each.desk.world.configure(accounts_timeout=0.2)
    each.call("getAccountFunds", key=key)
    given = {"from": "UK", "to": "AUSTRALIAN", "amount": 1}
    with each.desk.world.engine.begin() as connection:
        connection.execute(text("UPDATE customer SET name = 'locked' WHERE uid = '7'"))
        assert each.code("transferFunds", key=key, **given) == "TIMEOUT_ERROR"
    each.desk.world.configure(accounts_timeout=20.0)
    assert each.code("transferFunds", key=key, **given) is None


def test_no_free_connection_is_a_busy_service(each: AccountClient, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = each.new_keys("ann", "app")
    monkeypatch.setattr(operations, "identify", raising(PoolTimeoutError("QueuePool limit")))
    check(each, "SERVICE_BUSY", key)


@pytest.mark.parametrize("fault", [Fault.CONTENDED, Fault.DUPLICATE, Fault.CLOSED_PERIOD])
def test_conflicts_that_retries_do_not_end_are_a_busy_service(
    each: AccountClient, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    key, _ = each.new_keys("ann", "app")
    monkeypatch.setattr(operations, "fault_of", lambda _: fault)
    monkeypatch.setattr(funds, "funds_of", raising(RuntimeError("a conflict")))
    check(each, "SERVICE_BUSY", key)


def test_a_defect_is_unexpected_and_shows_nothing_of_ours(each: AccountClient, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _ = each.new_keys("ann", "app")
    logged = []
    monkeypatch.setattr(operations, "log_defect", lambda _, request_id, path: logged.append((request_id, path)))
    monkeypatch.setattr(funds, "funds_of", raising(RuntimeError("a secret detail")))
    check(each, "UNEXPECTED_ERROR", key)
    body = each.call("getAccountFunds", key=key).body
    assert "secret" not in str(body)
    assert "Traceback" not in str(body)
    exception = (body.get("error", {}).get("data") or body.get("detail"))["AccountAPINGException"]
    assert (exception["requestUUID"], "getAccountFunds") in logged


def test_a_defect_before_an_operation_is_the_frameworks(client: AccountClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations.OperationRunner, "run", raising(RuntimeError("a defect")))
    answer = client.post(RPC_PATH, {"method": "AccountAPING/v1.0/getAccountFunds", "id": 1})
    assert answer == (500, {"jsonrpc": "2.0", "error": {"code": -32603, "message": "DSC-0005"}})
    answer = client.post("/exchange/account/rest/v1.0/getAccountFunds/", {})
    assert answer == (500, {"faultcode": "Server", "faultstring": "DSC-0005", "detail": {}})


def test_a_time_out_before_an_operation_is_the_frameworks(
    client: AccountClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations.OperationRunner, "run", raising(PoolTimeoutError("QueuePool limit")))
    answer = client.post(RPC_PATH, {"method": "AccountAPING/v1.0/getAccountFunds", "id": 1})
    assert answer == (503, {"jsonrpc": "2.0", "error": {"code": -32603, "message": "DSC-0019"}})
    answer = client.post("/exchange/account/rest/v1.0/getAccountFunds/", {})
    assert answer == (503, {"faultcode": "Server", "faultstring": "DSC-0019", "detail": {}})
