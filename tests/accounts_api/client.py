"""Calls operations of the account API as customers of the desk, over either transport."""

from typing import Any, NamedTuple

import simplejson

from tests.desk import Desk
from wallet_hooks.accounts_api import vendors
from wallet_hooks.accounts_api.operations import OPERATIONS_BY_NAME
from wallet_hooks.database import writing
from wallet_hooks.web.strict_json import read_json

JSON_RPC, REST = "json-rpc", "rest"
RPC_PATH = "/exchange/account/json-rpc/v1"
Headers = dict[str, str]


class Outcome(NamedTuple):
    """An operation's result, or its error code; the HTTP status and the whole body."""

    result: Any
    code: str | None
    status: int
    body: Any


class AccountClient:
    """Sessions are made without passwords, because hashing takes long; a session is made once for each customer."""

    def __init__(self, desk: Desk, transport: str = JSON_RPC) -> None:
        self.desk = desk
        self.transport = transport
        self._tokens: dict[str, str] = {}
        self._keys: dict[str, str] = {}

    def token(self, who: str) -> str:
        if who not in self._tokens:
            self._tokens[who] = self.desk.token(who)
        return self._tokens[who]

    def headers(self, who: str | None, key: str | None = None) -> Headers:
        headers = {} if who is None else {"X-Authentication": self.token(who)}
        return headers if key is None else {**headers, "X-Application": key}

    def call(
        self,
        operation: str,
        *,
        who: str | None = "ann",
        key: str | None = None,
        headers: Headers | None = None,
        **given: Any,
    ) -> Outcome:
        """Call an operation. A result is checked against the operation's schema."""
        sent = headers if headers is not None else self.headers(who, key)
        if self.transport == JSON_RPC:
            outcome = self._over_json_rpc(operation, given, sent)
        else:
            outcome = self._over_rest(operation, given, sent)
        if outcome.code is None:
            check_result(operation, outcome.result)
        return outcome

    def ok(self, operation: str, **given: Any) -> Any:
        """Return the result of a call that must succeed."""
        outcome = self.call(operation, **given)
        assert outcome.code is None, outcome
        return outcome.result

    def code(self, operation: str, **given: Any) -> str | None:
        return self.call(operation, **given).code

    def new_keys(self, who: str, name: str) -> tuple[str, str]:
        """Create an application. Return its active and its delayed key."""
        made = self.ok("createDeveloperAppKeys", who=who, appName=name)
        active, delayed = (version["applicationKey"] for version in made["appVersions"])
        return active, delayed

    def key(self, who: str) -> str:
        """Return the active key of the customer's application, which is made once."""
        if who not in self._keys:
            self._keys[who], _ = self.new_keys(who, f"{who}, {self.transport}")
        return self._keys[who]

    def new_vendor(self, who: str, name: str, *, subscription_required: bool = False) -> tuple[str, str, str]:
        """Create a vendor's application. Return its key, public id and secret."""
        key, _ = self.new_keys(who, name)
        with writing(self.desk.world.engine) as session:
            application, secret = vendors.make_vendor(
                session, name, redirect_url="https://vendor.example/back", subscription_required=subscription_required
            )
        return key, str(application.id), secret

    def post(self, path: str, body: Any, headers: Headers | None = None, **kwargs: Any) -> tuple[int, Any]:
        """Post a body as JSON, or text as it is. Return the status and the document, with exact decimals."""
        data = body if isinstance(body, str | bytes) else simplejson.dumps(body, use_decimal=True)
        kwargs.setdefault("content_type", "application/json")
        response = self.desk.world.client.post(path, data=data, headers=headers or {}, **kwargs)
        assert response.content_type == "application/json"
        return response.status_code, simplejson.loads(response.text, use_decimal=True)

    def _over_json_rpc(self, operation: str, given: dict[str, Any], headers: Headers) -> Outcome:
        call = {"jsonrpc": "2.0", "method": f"AccountAPING/v1.0/{operation}", "params": given, "id": 1}
        status, body = self.post(RPC_PATH, call, headers)
        assert (status, body["jsonrpc"], body["id"]) == (200, "2.0", 1)
        if "error" not in body:
            return Outcome(body["result"], None, status, body)
        error = body["error"]
        code = error["data"]["AccountAPINGException"]["errorCode"] if "data" in error else error["message"]
        return Outcome(None, code, status, body)

    def _over_rest(self, operation: str, given: dict[str, Any], headers: Headers) -> Outcome:
        status, body = self.post(f"/exchange/account/rest/v1.0/{operation}/", given, headers)
        if status == 200:
            return Outcome(body, None, status, body)
        exception = body["detail"].get("AccountAPINGException")
        return Outcome(None, exception["errorCode"] if exception else body["faultstring"], status, body)


def check_result(operation: str, result: Any) -> None:
    """Read a result by the source's type: unknown, missing and wrongly typed fields are errors."""
    text = simplejson.dumps(result, use_decimal=True)
    field = OPERATIONS_BY_NAME[operation.lower()].result
    field.deserialize(read_json(text.encode()))
