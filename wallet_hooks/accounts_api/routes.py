"""The account API over HTTP: its two transports, and login."""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint
from sqlalchemy import Engine

from wallet_hooks.accounts_api import json_rpc, login, rest
from wallet_hooks.accounts_api.json_rpc import JsonRpc
from wallet_hooks.accounts_api.login import Login
from wallet_hooks.accounts_api.operations import OperationRunner
from wallet_hooks.accounts_api.rest import FAULT_STATUSES, Rest
from wallet_hooks.logs import LOG
from wallet_hooks.settings import Settings
from wallet_hooks.web import api
from wallet_hooks.web.api import AnsweredCall, Api, Endpoint

JSON_RPC_PATH = "/exchange/account/json-rpc/v1"
REST_PATH = "/exchange/account/rest"


def _observe(answered: Sequence[AnsweredCall]) -> None:
    for one in answered:
        LOG.info("account_call", **one.log_entry(route=one.call.endpoint.path))


JSON_RPC_API = Api(
    name="accounts-json-rpc",
    prefix="/exchange/account/json-rpc",
    success=json_rpc.success,
    failure=json_rpc.failure,
    statuses=FAULT_STATUSES,
    observe=_observe,
    is_limited=True,
    time_outs=lambda settings: settings.account_time_outs,
)
REST_API = Api(
    name="accounts-rest",
    prefix="/exchange/",
    failure=rest.failure,
    statuses=FAULT_STATUSES,
    observe=_observe,
    is_limited=True,
    time_outs=lambda settings: settings.account_time_outs,
)
LOGIN_API = Api(
    name="accounts-login",
    prefix="/api/",
    success=login.success,
    failure=login.failure,
    observe=_observe,
    time_outs=lambda settings: settings.account_time_outs,
)
APIS = (JSON_RPC_API, REST_API, LOGIN_API)


def blueprints(engine: Engine, settings: Settings) -> list[Blueprint]:
    """Return the blueprints of the transports and of login. The engine bounds its locks and statements."""
    operations = OperationRunner(engine, settings)
    calls, resources, logins = JsonRpc(operations, settings), Rest(operations), Login(engine, settings)
    json_rpc_endpoints = [
        Endpoint("POST", f"{JSON_RPC_PATH}/", "call", calls.answer),
        Endpoint("POST", f"{JSON_RPC_PATH}/<path:method>", "call_method", calls.answer),
    ]
    rest_endpoints = [Endpoint("POST", f"{REST_PATH}/<version>/<operation>/", "operation", resources.answer)]
    login_endpoints = [
        Endpoint("POST", "/api/login", "login", logins.log_in),
        *_both_methods("/api/keepAlive", "keep_alive", logins.keep_alive),
        *_both_methods("/api/logout", "logout", logins.log_out),
    ]
    return [
        api.blueprint(JSON_RPC_API, json_rpc_endpoints, settings),
        api.blueprint(REST_API, rest_endpoints, settings),
        api.blueprint(LOGIN_API, login_endpoints, settings),
    ]


def _both_methods(path: str, name: str, answer: Any) -> list[Endpoint]:
    """Return the endpoints of a call that clients make with GET or POST."""
    return [Endpoint(method, path, f"{name}_{method.lower()}", answer) for method in ("GET", "POST")]
