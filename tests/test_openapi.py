"""/openapi.json matches the bodies and answers of the APIs."""

from typing import Any

import pytest
from freezegun import freeze_time
from jsonschema import Draft202012Validator

from tests.limits.player import GatewayPlayer, change
from tests.world import JsonReply, World
from wallet_hooks.openapi.document import specification

_LIMITS = "/gateway/limits/v1/player"


def accepts(path: str, method: str, body: Any) -> bool:
    """Return whether the document allows a body for a call."""
    document = specification()
    schema = document["paths"][path][method]["requestBody"]["content"]["application/json"]["schema"]
    resolvable = {"components": document["components"], **schema}
    return bool(Draft202012Validator(resolvable).is_valid(body))


def statuses(path: str, method: str) -> set[str]:
    return set(specification()["paths"][path][method]["responses"])


def call(player: GatewayPlayer, method: str, path: str, body: Any) -> JsonReply:
    """Make a call, and check that the document allows its body and lists its status."""
    reply = player.call(method, path, body)
    documented = f"/gateway/limits/v1{path.replace('BRAND', '{brand_id}')}"
    assert accepts(documented, method.lower(), body), body
    assert str(reply.status) in statuses(documented, method.lower()), reply
    return reply


def test_calculate_update_swap_and_delete_match_the_document(world: World) -> None:
    with freeze_time("2026-11-20T12:00:00Z") as moment:
        player = GatewayPlayer(world)

        def update(uuid: str, frame: str, amount: str) -> None:
            body = {"uuid": uuid, "bet": change(frame, amount)}
            quote = call(player, "POST", "/player/limits/calculate/BRAND", body)
            assert call(player, "PUT", "/player/limits/BRAND", quote.body | {"uuid": uuid}) == (202, "Updated")

        def pending() -> str:
            return str(player.get()["pending"]["bet"]["row_id"])

        update("1", "day", "5")
        update("2", "day", "10")
        assert call(player, "PUT", "/player/delete/limits/BRAND", {"row_id": [pending()]}) == (204, None)
        update("3", "day", "20")
        assert call(player, "PUT", "/player/delete/limits/BRAND", [pending()]).status == 400  # not yet
        moment.tick(86_400)
        assert call(player, "PUT", "/player/delete/limits/BRAND", [pending()]).status == 200
        assert call(player, "PUT", "/player/swap/limits/BRAND", ["999"]).status == 400


def test_calls_of_the_limits_gateway_list_every_status() -> None:
    assert statuses(f"{_LIMITS}/limits/{{brand_id}}", "put") == {"202", "400", "401", "404", "429", "500", "503"}
    assert statuses(f"{_LIMITS}/delete/limits/{{brand_id}}", "put") == {
        "200",
        "204",
        "400",
        "401",
        "404",
        "429",
        "500",
        "503",
    }
    assert statuses(f"{_LIMITS}/swap/limits/{{brand_id}}", "put") == {"200", "400", "401", "404", "429", "500", "503"}
    assert not accepts(f"{_LIMITS}/swap/limits/{{brand_id}}", "put", {"row_id": ["1"]})
    assert not accepts(f"{_LIMITS}/limits/{{brand_id}}", "put", {"bet": {}})


@pytest.mark.parametrize(
    ("path", "method", "valid", "invalid"),
    [
        ("/v1/customers/{username}/", "patch", {"expires_at": None}, {"expires_at": 1}),
        ("/v1/customers/{username}/", "patch", {"expires_at": "9999-12-31"}, {"surname": "x"}),
        ("/v1/customers/{username}/", "patch", {"credit_limit": ["EUR", 1.5]}, {"credit_limit": ["EUR"]}),
        ("/v1/customers/{username}/", "patch", {"max_stake_per_event": None}, {"max_stake_per_event": "1"}),
        ("/v1/customers/{username}/", "patch", {"roles": {"bet_placer": True}}, {"roles": {"king": True}}),
        ("/v1/customers/{username}/bookie_accounts_preview/", "post", {"tag_rules": []}, {"tag_rules": [{}]}),
        (
            f"{_LIMITS}/limits/calculate/{{brand_id}}",
            "post",
            {"uuid": 1, "bet": change("day", "no_limit")},
            {"uuid": 1.5},
        ),
        ("/bets/cancel", "post", None, {"pools": {}}),
    ],
)
def test_the_document_accepts_valid_and_rejects_invalid_bodies(
    path: str, method: str, valid: Any, invalid: Any
) -> None:
    assert valid is None or accepts(path, method, valid)
    assert not accepts(path, method, invalid)


def test_operation_ids_are_unique() -> None:
    ids = [one["operationId"] for methods in specification()["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))
