"""Media types and byte order marks of bodies, in every API."""

import json
from codecs import BOM_UTF8
from typing import Any

import pytest

from tests.desk import Desk
from tests.world import bet

_FORM = "application/x-www-form-urlencoded"
API = ["callbacks", "customers", "limits"]
# The status of each API for a media type that it does not accept.
REJECTED = {"callbacks": 415, "customers": 415, "limits": 400}


def call(desk: Desk, api: str, content_type: str, prefix: bytes = b"") -> int:
    """Make a valid call with a media type and a prefix before its JSON, and return the status."""
    path, body, headers = _valid_call(desk, api)
    data = prefix + json.dumps(body).encode()
    return desk.world.client.post(path, data=data, headers=headers, content_type=content_type).status_code


def _valid_call(desk: Desk, api: str) -> tuple[str, Any, dict[str, str]]:
    match api:
        case "callbacks":
            return "/bets", {"bets": [bet()]}, {}
        case "customers":
            return "/v1/groups/", {"name": "more"}, {"Session": desk.token("boss")}
        case _:
            path = "/gateway/limits/v1/player/limits/calculate/1007"
            return path, {"uuid": "1", "reality_check": "15_min"}, {"x-auth-token": desk.token("ann")}


@pytest.mark.parametrize("api", API)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf8",
        "application/json; charset=UTF-8;",
        'APPLICATION/JSON ;charset="utf-8" ; version=1',
        "application/json; version=1",
    ],
)
def test_utf8_json_is_accepted_in_every_spelling_of_its_media_type(desk: Desk, api: str, content_type: str) -> None:
    assert call(desk, api, content_type) == 200


@pytest.mark.parametrize("api", API)
@pytest.mark.parametrize("content_type", ["application/json; charset=utf-16", "text/json", "application/json-seq", ""])
def test_another_charset_or_media_type_is_refused(shared_desk: Desk, api: str, content_type: str) -> None:
    assert call(shared_desk, api, content_type) == REJECTED[api]


@pytest.mark.parametrize("api", API)
def test_a_byte_order_mark_before_the_json_is_skipped(desk: Desk, api: str) -> None:
    assert call(desk, api, "application/json", BOM_UTF8) == 200
    assert call(desk, api, "application/json", BOM_UTF8 * 2) == 400


def test_a_form_is_accepted_in_every_spelling_of_its_media_type(desk: Desk) -> None:
    headers = {"Session": desk.token("boss")}
    for number, content_type in enumerate((_FORM, f"{_FORM}; charset=UTF8", f"{_FORM};version=1;")):
        sent = {"data": f"name=group{number}", "content_type": content_type, "headers": headers}
        assert desk.world.client.post("/v1/groups/", **sent).status_code == 200
    sent = {"data": "name=other", "content_type": f"{_FORM}; charset=latin1", "headers": headers}
    assert desk.world.client.post("/v1/groups/", **sent).status_code == 415


class SlowInput:
    """The input of a client that stops sending in the middle of its body."""

    def read(self, _size: int) -> bytes:
        raise TimeoutError


@pytest.mark.parametrize(("api", "status"), [("callbacks", 411), ("customers", 411), ("limits", 400)])
def test_a_body_that_does_not_arrive_is_refused(desk: Desk, api: str, status: int) -> None:
    path, body, headers = _valid_call(desk, api)
    response = desk.world.client.post(path, json=body, headers=headers, environ_overrides={"wsgi.input": SlowInput()})
    assert response.status_code == status
