"""Schemathesis: every call of /openapi.json, with real credentials, and values at the edges of their types."""

from base64 import b64encode
from copy import deepcopy
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.desk import Desk
from wallet_hooks.openapi.document import specification

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
SECRET = "acme:a secret for these tests"
# What there is, so that more than 404 is met.
NAMES = {"username": "bob", "group_id": 1, "brand_id": "1007", "currency": "EUR"}


def document() -> dict[str, Any]:
    """The document without its security, which is brought by the tests: every call gets past 401."""
    copy = deepcopy(specification())
    for operations in copy["paths"].values():
        for operation in operations.values():
            operation["x-proofs"] = [name for one in operation.pop("security", ()) for name in one]
    return copy


api = schemathesis.openapi.from_dict(document())
api.config.phases.coverage.unexpected_methods = set()


@pytest.fixture
def callers(desks: list[Desk], monkeypatch: pytest.MonkeyPatch) -> list["Caller"]:
    """Whoever may call what, on each engine."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    return [Caller(desk) for desk in desks]


class Caller:
    """Calls an application with the right credentials of every API."""

    def __init__(self, desk: Desk) -> None:
        desk.world.provider(auth="basic", secrets=["env:ACME_SECRET"])
        self._app = desk.world.app
        self._headers = desk.headers_by_security() | {(): {}}

    def call(self, case: Any) -> Any:
        proofs = tuple(case.operation.definition.raw["x-proofs"])
        basic = {"Authorization": f"Basic {b64encode(SECRET.encode()).decode()}"}
        return case.call(app=self._app, headers=self._headers.get(proofs, basic))


@api.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_no_call_answers_what_the_document_does_not_say(case: Any, callers: list[Caller]) -> None:
    case.path_parameters = {name: NAMES.get(name, value) for name, value in (case.path_parameters or {}).items()}
    for caller in callers:
        response = caller.call(case)
        case.validate_response(response, checks=CHECKS)
