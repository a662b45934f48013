"""Schemathesis: every operation of /openapi.json, with valid credentials and generated values."""

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
# Existing names, so that answers are not only 404.
NAMES = {"username": "bob", "group_id": 1, "brand_id": "1007", "currency": "EUR"}


def document() -> dict[str, Any]:
    """Return the document without security schemes; the tests send credentials, so no call ends with 401."""
    copy = deepcopy(specification())
    for operations in copy["paths"].values():
        for operation in operations.values():
            operation["x-security-schemes"] = [name for one in operation.pop("security", ()) for name in one]
    return copy


api = schemathesis.openapi.from_dict(document())
api.config.phases.coverage.unexpected_methods = set()


@pytest.fixture
def callers(desks: list[Desk], monkeypatch: pytest.MonkeyPatch) -> list["Caller"]:
    """A caller with all credentials, on each engine."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    return [Caller(desk) for desk in desks]


class Caller:
    """Calls an application with valid credentials of every API."""

    def __init__(self, desk: Desk) -> None:
        desk.world.provider(auth="basic", secrets=["env:ACME_SECRET"])
        self._app = desk.world.app
        self._headers = desk.headers_by_security() | {(): {}}

    def call(self, case: Any) -> Any:
        schemes = tuple(case.operation.definition.raw["x-security-schemes"])
        basic = {"Authorization": f"Basic {b64encode(SECRET.encode()).decode()}"}
        return case.call(app=self._app, headers=self._headers.get(schemes, basic))


@api.parametrize()
@settings(max_examples=10, suppress_health_check=list(HealthCheck))
def test_every_answer_conforms_to_the_document(case: Any, callers: list[Caller]) -> None:
    case.path_parameters = {name: NAMES.get(name, value) for name, value in (case.path_parameters or {}).items()}
    for caller in callers:
        response = caller.call(case)
        case.validate_response(response, checks=CHECKS)
