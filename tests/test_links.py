"""Every link of /openapi.json leads to a call that is done with what the first one was sent or answered."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.desk import Desk
from tests.test_edges import BODIES, OPERATIONS, DocumentedOperation
from wallet_hooks.openapi.links import LINKS

BY_ID = {one.id: one for one in OPERATIONS}
# What must have happened before there is something to link to.
BEFORE = {"begin_session": "create_customer", "list_betslips": "betslip_messages"}
GIVEN = {"begin_session": {name: BODIES["create_customer"][name] for name in ("username", "password")}}
# What these need beyond the link: the vendor's secret, and money.
REFUSED = {"account_token", "withdraw"}


class LinkedCall(NamedTuple):
    path: dict[str, str]
    body: Any
    answer: Any


@pytest.mark.parametrize(("first", "second"), [(first, second) for first in LINKS for second in LINKS[first]])
def test_a_link_leads_to_a_call_that_is_done(desk: Desk, first: str, second: str) -> None:
    client = LinkedCalls(desk)
    if first in BEFORE:
        client.call(BY_ID[BEFORE[first]], {}, BODIES[BEFORE[first]])
    names = {"brand_id": "1007", "username": "bob"}
    sent = client.call(BY_ID[first], names, GIVEN.get(first, BODIES.get(first)))
    link = BY_ID[first].facts["responses"]["200"]["links"][second]
    path = {name: _resolved(value, sent) for name, value in link.get("parameters", {}).items()}
    body = _resolved(link["requestBody"], sent) if "requestBody" in link else BODIES.get(second)
    client.call(BY_ID[link["operationId"]], path, body, is_done=second not in REFUSED)


class LinkedCalls:
    """Calls operations with valid credentials; vendors are ann's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._headers = desk.headers_by_security()
        self._of_vendors = {"Session": desk.token("ann")}

    def call(
        self, operation: DocumentedOperation, path: dict[str, str], body: Any, *, is_done: bool = True
    ) -> LinkedCall:
        schemes = tuple(name for one in operation.facts.get("security", ()) for name in one)
        headers = self._of_vendors if "vendor" in operation.id else self._headers.get(schemes, {})
        response = self._desk.world.client.open(
            operation.path.format_map(path),
            method=operation.method.upper(),
            headers=headers | {"Idempotency-Key": operation.id},
            json=body,
        )
        assert (response.status_code < 300) is is_done, response.text[:300]
        return LinkedCall(path, body, response.get_json(silent=True))


def _resolved(value: Any, sent: LinkedCall) -> Any:
    """Return a link's value with its runtime expressions replaced; what the answer does not have is left out."""
    if isinstance(value, dict):
        found = {name: _resolved(one, sent) for name, one in value.items()}
        return {name: one for name, one in found.items() if one is not None}
    if isinstance(value, list):
        return [_resolved(one, sent) for one in value]
    source, _, pointer = value.partition("#/")
    if source.startswith("$request.path."):
        return sent.path[source.removeprefix("$request.path.")]
    if source not in ("$request.body", "$response.body"):
        return value
    found = sent.body if source == "$request.body" else sent.answer
    for part in _parts(pointer):
        found = found[int(part)] if isinstance(found, list) else found.get(part)
    return found


def _parts(pointer: str) -> Iterator[str]:
    yield from pointer.split("/") if pointer else ()
