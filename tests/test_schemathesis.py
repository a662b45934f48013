"""Schemathesis: every operation of /openapi.json, with valid credentials and generated values."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.conftest import Templates
from tests.desk import Desk
from tests.test_edges import BODIES
from tests.world import World
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
    """Return the document without security schemes; the tests send credentials, so no call ends with 401.

    A link's body is sent as it is.
    """
    copy = deepcopy(specification())
    for operations in copy["paths"].values():
        for operation in operations.values():
            operation["x-security-schemes"] = [name for one in operation.pop("security", ()) for name in one]
            for link in operation["responses"].get("200", {}).get("links", {}).values():
                link["x-schemathesis"] = {"merge_body": False}
    return copy


api = schemathesis.openapi.from_dict(document())
api.config.phases.coverage.unexpected_methods = set()


@pytest.fixture
def callers(desks: list[Desk], monkeypatch: pytest.MonkeyPatch) -> list["AuthorizedCaller"]:
    """A caller with all credentials, on each engine."""
    monkeypatch.setenv("ACME_SECRET", SECRET)
    return [AuthorizedCaller(desk) for desk in desks]


class AuthorizedCaller:
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
def test_every_answer_conforms_to_the_document(case: Any, callers: list[AuthorizedCaller]) -> None:
    case.path_parameters = {name: NAMES.get(name, value) for name, value in (case.path_parameters or {}).items()}
    for caller in callers:
        response = caller.call(case)
        case.validate_response(response, checks=CHECKS)


# Operations with links whose generated bodies name nothing that exists; their bodies are varied above.
SUCCEEDING = {"bets", "betslip_messages", "limits_calculate", "account_getAuthorisationCode"}
SUCCEEDING |= {"account_getApplicationSubscriptionToken", "create_customer", "create_group", "deposit"}
linked = schemathesis.openapi.from_dict(document())
linked.config.generation.update(modes=[GenerationMode.POSITIVE])


class Scenario(linked.as_state_machine()):  # type: ignore[misc]
    """Calls that take what others answered, by the document's links, each scenario on a database of its own.

    Otherwise answers would depend on earlier scenarios, and hypothesis could not repeat one.
    """

    open_caller: Callable[[], AbstractContextManager[AuthorizedCaller]]

    def setup(self) -> None:
        self._stack = ExitStack()
        self._caller = self._stack.enter_context(type(self).open_caller())
        self._answered: set[str] = set()  # values of answers, which links take

    def teardown(self) -> None:
        self._stack.close()

    def before_call(self, case: Any) -> None:
        """Name what exists where no link says what to name, so that more is answered than 404."""
        for name, value in (case.path_parameters or {}).items():
            if str(value) not in self._answered:
                case.path_parameters[name] = NAMES.get(name, value)
        if isinstance(case.body, dict) and "group_id" in case.body:
            case.body["group_id"] = NAMES["group_id"]
        if case.operation.definition.raw["operationId"] in SUCCEEDING:
            case.body = deepcopy(BODIES[case.operation.definition.raw["operationId"]])

    def call(self, case: Any, **_kwargs: Any) -> Any:
        response = self._caller.call(case)
        answer = response.json() if response.status_code == 200 else None
        data = answer.get("data") if isinstance(answer, dict) else None
        values = data.values() if isinstance(data, dict) else data if isinstance(data, list) else [data]
        self._answered |= {str(value) for value in values}
        return response

    def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **_kwargs: Any) -> None:
        case.validate_response(response, checks=CHECKS)


def test_calls_that_follow_links_conform_to_the_document(
    templates: Templates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_SECRET", SECRET)
    numbers = count()

    @contextmanager
    def open_caller() -> Iterator[AuthorizedCaller]:
        url, _ = templates.copy("sqlite", "desk", tmp_path / f"{next(numbers)}.db")
        world = World(url)
        yield AuthorizedCaller(Desk(world))
        world.close()

    Scenario.open_caller = staticmethod(open_caller)
    Scenario.run(settings=settings(max_examples=100, stateful_step_count=6, suppress_health_check=list(HealthCheck)))
