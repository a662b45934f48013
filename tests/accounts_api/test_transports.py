"""The two transports: batches, names of operations, parameters, and what is wrong with a call itself."""

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from tests.accounts_api.client import RPC_PATH, AccountClient
from wallet_hooks.accounts_api.operations import OPERATIONS_BY_NAME

FUNDS = "AccountAPING/v1.0/getAccountFunds"


def call(method: Any = FUNDS, **members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "method": method, **members}


def test_there_are_twenty_two_operations() -> None:
    assert len(OPERATIONS_BY_NAME) == 22


def test_a_batch_is_answered_in_order_whatever_is_wrong_with_its_members(client: AccountClient) -> None:
    key, _ = client.new_keys("ann", "app")
    batch = [
        call(id=1),
        call("AccountAPING/v1.0/nothing", id="two"),
        call("AccountAPING/v1.0/transferFunds", params={"from": "UK"}, id=3),
        call(params={"wallet": "uk"}, id=4),
        5,
        call(id={"no": "id"}),
        call(id=None),
        call(),
        call("AccountAPING/v1.0/createDeveloperAppKeys", params={"appName": "APP"}, id=9),
    ]
    status, answers = client.post(RPC_PATH, batch, client.headers("ann", key))
    assert status == 200
    assert [answer.get("id", "none") for answer in answers] == [1, "two", 3, 4, "none", "none", None, "none", 9]
    errors = [
        (answer["error"]["code"], answer["error"]["message"]) if "error" in answer else None for answer in answers
    ]
    assert errors == [
        None,
        (-32601, "DSC-0021"),
        (-32602, "DSC-0018"),
        (-32602, "DSC-0044"),
        (-32600, "DSC-0031"),
        (-32600, "DSC-0031"),
        None,
        None,
        (-32099, "AANGX-0007"),
    ]
    assert answers[0]["result"]["availableToBetBalance"] == Decimal("100.00")


@pytest.mark.parametrize("id_", ["1", "1.50", "1e3", "-0", '"é"', '""', "null", "12345678901234567890123"])
def test_ids_are_echoed_as_they_were_sent(shared_client: AccountClient, id_: str) -> None:
    text = f'{{"method":"{FUNDS}","id":{id_}}}'
    response = shared_client.desk.world.client.post(RPC_PATH, data=text, content_type="application/json")
    assert response.text.rpartition('"id":')[2] == f"{id_}}}".replace("é", "\\u00e9")


@pytest.mark.parametrize(
    "path",
    [
        RPC_PATH,
        f"{RPC_PATH}/",
        f"{RPC_PATH}/AccountAPING/v1.0/getDeveloperAppKeys",
        f"{RPC_PATH}/AccountAPING/v1.0/getDeveloperAppKeys/",
    ],
)
def test_the_operation_is_named_in_the_body_or_in_the_url(client: AccountClient, path: str) -> None:
    body = {"id": 1} if "AccountAPING" in path else call("AccountAPING/v1.0/getDeveloperAppKeys", id=1)
    assert client.post(path, body, client.headers("ann")) == (200, {"jsonrpc": "2.0", "result": [], "id": 1})


@pytest.mark.parametrize("method", ["accountaping/V1/GETdeveloperAPPkeys", "AccountAPING/v1.3/getDeveloperAppKeys"])
def test_names_are_matched_in_any_case_and_minor_version(shared_client: AccountClient, method: str) -> None:
    _, answer = shared_client.post(RPC_PATH, call(method, id=1), shared_client.headers("ann"))
    assert answer["result"] == []


@pytest.mark.parametrize("version", ["v1", "V1.0", "v1.3"])
def test_rest_takes_any_minor_version_with_or_without_a_slash(shared_client: AccountClient, version: str) -> None:
    for end in ("", "/"):
        path = f"/exchange/account/rest/{version}/getdeveloperappkeys{end}"
        assert shared_client.post(path, {}, shared_client.headers("ann")) == (200, [])


@pytest.mark.parametrize("method", ["AccountAPING/v2.0/getAccountFunds", "getAccountFunds", "", 7, None, ["x"]])
def test_an_unknown_operation_is_an_error_of_its_member(shared_client: AccountClient, method: Any) -> None:
    status, answer = shared_client.post(RPC_PATH, call(method, id=1), shared_client.headers("ann"))
    assert (status, answer["error"], answer["id"]) == (200, {"code": -32601, "message": "DSC-0021"}, 1)


@pytest.mark.parametrize("params", [{"from": "UK", "to": "AUSTRALIAN", "amount": 1}, ["UK", "AUSTRALIAN", 1]])
def test_parameters_come_by_name_or_by_position(client: AccountClient, params: Any) -> None:
    key, _ = client.new_keys("ann", "app")
    client.desk.world.deposit("5.00", uid="7")
    method = "AccountAPING/v1.0/transferFunds"
    _, answer = client.post(RPC_PATH, call(method, params=params, id=1), client.headers("ann", key))
    assert answer["result"]["transactionId"].isdigit()


def test_numbers_come_as_strings_too(each: AccountClient) -> None:
    """The vendor's framework takes them, and some clients send them."""
    key, _ = each.new_keys("ann", "app")
    each.desk.world.deposit("5.00", uid="7")
    assert each.ok("transferFunds", key=key, **{"from": "UK", "to": "AUSTRALIAN", "amount": "0.01"})
    for count in ("1", " 1 ", 1, Decimal("1.0"), "1.0"):
        assert len(each.ok("getAccountStatement", key=key, recordCount=count)["accountStatement"]) == 1


@pytest.mark.parametrize(
    "params", [["UK", "AUSTRALIAN", 1, 1], "UK", 5, {"from": "UK", "to": "AUSTRALIAN", "amount": "one"}]
)
def test_parameters_of_a_wrong_type_are_refused(shared_client: AccountClient, params: Any) -> None:
    method = "AccountAPING/v1.0/transferFunds"
    _, answer = shared_client.post(RPC_PATH, call(method, params=params, id=1), shared_client.headers("ann"))
    assert answer["error"] == {"code": -32602, "message": "DSC-0044"}


def test_unknown_and_null_parameters_are_as_missing_ones(client: AccountClient) -> None:
    key, _ = client.new_keys("ann", "app")
    params = {"wallet": None, "locale": "en", "more": {"x": [1]}}
    _, answer = client.post(RPC_PATH, call(params=params, id=1), client.headers("ann", key))
    assert answer["result"]["wallet"] == "UK"


@pytest.mark.parametrize(
    ("body", "kwargs", "status", "code", "message"),
    [
        ("{", {}, 400, -32700, "DSC-0044"),
        ('{"id":1,"id":2}', {}, 400, -32700, "DSC-0044"),
        (b"\xff", {}, 400, -32700, "DSC-0044"),
        ("[]", {}, 400, -32600, "DSC-0031"),
        ("7", {}, 400, -32600, "DSC-0031"),
        ("{}", {"content_type": "text/plain"}, 415, -32700, "DSC-0011"),
        ("{}", {"content_type": "text/plain; charset=utf-8"}, 415, -32700, "DSC-0011"),
        (b"\xff", {"content_type": "application/json; charset=ISO-8859-1"}, 400, -32700, "DSC-0044"),
        ("{}", {"headers": {"Accept": "text/html"}}, 406, -32700, "DSC-0013"),
        ("{}", {"headers": {"Accept": "application/json;q=0"}}, 406, -32700, "DSC-0013"),
        ("{}", {"headers": {"Accept": "*/*, application/json; q=0.0"}}, 406, -32700, "DSC-0013"),
        ("[" + ",".join(["{}"] * 51) + "]", {}, 400, -32600, "DSC-0031"),
    ],
)
def test_what_is_wrong_with_the_whole_call_is_answered_without_an_id(
    shared_client: AccountClient, body: Any, kwargs: dict[str, Any], status: int, code: int, message: str
) -> None:
    answer = shared_client.post(RPC_PATH, body, **kwargs)
    assert answer == (status, {"jsonrpc": "2.0", "error": {"code": code, "message": message}})


@pytest.mark.parametrize(
    ("path", "body", "kwargs", "status", "message"),
    [
        ("v1.0/getAccountFunds", "{", {}, 400, "DSC-0044"),
        ("v1.0/getAccountFunds", "[]", {}, 400, "DSC-0044"),
        ("v1.0/getAccountFunds", "null", {}, 400, "DSC-0044"),
        ("v1.0/transferFunds", "{}", {}, 400, "DSC-0018"),
        ("v1.0/getAccountFunds", '{"wallet":"X"}', {}, 400, "DSC-0044"),
        ("v1.0/nothing", "{}", {}, 404, "DSC-0021"),
        ("v2.0/getAccountFunds", "{}", {}, 404, "DSC-0023"),
        ("getAccountFunds", "{}", {}, 404, "DSC-0023"),
        ("v1.0/getAccountFunds", "{}", {"content_type": "text/plain"}, 415, "DSC-0011"),
        ("v1.0/getAccountFunds", "{}", {"headers": {"Accept": "image/*"}}, 406, "DSC-0013"),
    ],
)
def test_rest_answers_a_call_that_reaches_no_operation(
    shared_client: AccountClient, path: str, body: str, kwargs: dict[str, Any], status: int, message: str
) -> None:
    answer = shared_client.post(f"/exchange/account/rest/{path}", body, **kwargs)
    assert answer == (status, {"faultcode": "Client", "faultstring": message, "detail": {}})


CONTENT_TYPES = (
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=ISO-8859-1",
    "application/json;charset=us-ascii",
    "Application/JSON ; x=y",
    "application/json-rpc",
    None,
)


@pytest.mark.parametrize(
    "accept",
    [
        "application/json", "*/*", "text/html, application/*;q=0.1", "", "application/json; charset=utf-8;q=abc",
        "application/json-rpc",
    ],
)  # fmt: skip
def test_json_is_accepted_and_answered_without_parameters(client: AccountClient, accept: str) -> None:
    """Without a content type, too: some clients send none."""
    headers = client.headers("ann") | {"Accept": accept}
    body = json.dumps(call(id=1)).encode()
    for content_type in CONTENT_TYPES:
        response = client.desk.world.client.post(RPC_PATH, data=body, headers=headers, content_type=content_type)
        assert response.status_code == 200, content_type


def test_bodies_without_a_length_are_read_where_the_server_marks_their_end(client: AccountClient) -> None:
    body = json.dumps(call("AccountAPING/v1.0/getDeveloperAppKeys", id=1)).encode()
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}

    def post(path: str, content: bytes, **environ: Any) -> tuple[int, Any]:
        response = client.desk.world.client.post(
            path,
            input_stream=io.BytesIO(content),
            headers=client.headers("ann"),
            content_type="application/json",
            environ_overrides=chunked | environ,
        )
        return response.status_code, response.get_json()

    assert post(RPC_PATH, body) == (200, {"jsonrpc": "2.0", "result": [], "id": 1})
    assert post("/exchange/account/rest/v1.0/getDeveloperAppKeys/", b"{}") == (200, [])
    assert post(RPC_PATH, b" " * (client.desk.world.settings.body_cap + 1))[0] == 413
    assert post("/bets", b"{}")[0] == 411  # the callbacks take none


def test_an_empty_body_is_no_parameters(client: AccountClient) -> None:
    path = "/exchange/account/rest/v1.0/getDeveloperAppKeys/"
    environ = {"CONTENT_LENGTH": "0"}
    assert client.post(path, "", client.headers("ann"), environ_overrides=environ) == (200, [])


@pytest.mark.parametrize("more", [{}, {"content_type": "application/json"}])
@pytest.mark.parametrize("length", [None, "", "0"])
def test_a_request_without_a_body_is_no_parameters(
    client: AccountClient, length: str | None, more: dict[str, Any]
) -> None:
    """RFC 9112, section 6.3: without Content-Length and Transfer-Encoding there is no body."""
    environ = {} if length is None else {"CONTENT_LENGTH": length}

    def post(path: str, **kwargs: Any) -> tuple[int, Any]:
        sent = {"headers": client.headers("ann"), "environ_overrides": environ, **kwargs}
        response = client.desk.world.client.post(path, **sent)
        return response.status_code, response.get_json()

    path = "/exchange/account/rest/v1.0/getDeveloperAppKeys/"
    assert post(path, **more) == (200, [])
    assert post(path, content_type="text/plain")[0] == 415
    assert post(RPC_PATH, **more)[0] == 400
    if length != "0":
        assert post("/bets", content_type="application/json")[0] == 411  # the callbacks require a length


@pytest.mark.parametrize("charset", ["ISO-8859-1", "us-ascii"])
def test_bodies_are_utf_8_whatever_charset_their_type_names(client: AccountClient, charset: str) -> None:
    path, content_type = "/exchange/account/rest/v1.0/createDeveloperAppKeys/", f"application/json; charset={charset}"
    body = '{"appName":"Zürich"}'.encode()
    status, made = client.post(path, body, client.headers("ann"), content_type=content_type)
    assert (status, made["appName"]) == (200, "Zürich")
    response = client.desk.world.client.post("/bets", data=b"{}", content_type=content_type)
    assert response.status_code == 415  # the callbacks accept no other charset
