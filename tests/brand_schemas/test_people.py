"""Usernames, sessions and tokens where each brand has a schema: known to all brands, and of one."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.brand_schemas.conftest import BRANDS
from tests.test_commands import Shell
from tests.world import JsonReply, World, bet
from wallet_hooks import clock
from wallet_hooks.betslips.customer_feed import CustomerStream, Feed
from wallet_hooks.customers.queries import customer_by_uid
from wallet_hooks.database import open_engine, reading, writing
from wallet_hooks.identity import api_tokens
from wallet_hooks.identity.service import brand_by_client
from wallet_hooks.settings import TimeOuts

PASSWORD = "long-enough-1"


@pytest.fixture
def people(spread: World, shell: Shell) -> World:
    """Customers ann of acme and freja of nordbet, who can log in."""
    for client, username in (("acme", "ann"), ("nordbet", "freja")):
        change = ("--brand", client, "--uid", "7", "--username", username, "--password-stdin")
        shell.ok("customer", "change", *change, stdin=f"{PASSWORD}\n")
    return spread


def log_in(world: World, username: str, password: str = PASSWORD) -> JsonReply:
    return world.post("/v1/sessions/", {"username": username, "password": password})


def get(world: World, path: str, headers: dict[str, str]) -> JsonReply:
    response = world.client.get(path, headers=headers)
    return JsonReply(response.status_code, response.get_json(silent=True))


def session_of(world: World, username: str) -> dict[str, str]:
    return {"Session": log_in(world, username).body["data"]}


def token_of(world: World, client: str | None) -> dict[str, str]:
    with writing(world.shared) as session:
        brand_id = None if client is None else brand_by_client(session, client).id
        token = api_tokens.create(session, name="test", role="cashier", brand_id=brand_id, now=clock.now())
    return {"Authorization": f"Bearer {token}"}


def test_a_username_is_of_one_customer_of_all_brands(people: World, shell: Shell) -> None:
    new = ("customer", "create", "--uid", "8", "--currency", "EUR", "--username", "ANN")
    for client in ("acme", "west"):
        ran = shell.run(*new, "--brand", client)
        assert (ran.returncode, ran.stderr) == (1, "wallet-hooks: conflict: username 'ann' is taken\n")
    taken = shell.run("customer", "change", "--brand", "west", "--uid", "7", "--username", "Freja")
    assert "is taken" in taken.stderr
    # A name that was given up is free, for any brand.
    shell.ok("customer", "change", "--brand", "acme", "--uid", "7", "--username", "anna")
    shell.ok("customer", "change", "--brand", "west", "--uid", "7", "--username", "ann")
    assert log_in(people, "anna").status == 200
    assert log_in(people, "ann").status == 401


def test_a_session_is_of_its_customers_brand(people: World) -> None:
    ann, freja = session_of(people, "ann"), session_of(people, "freja")
    for headers, own, other in ((ann, "ann", "freja"), (freja, "freja", "ann")):
        assert get(people, f"/v1/customers/{own}/", headers).body["data"]["username"] == own
        assert get(people, f"/v1/customers/{other}/", headers).status == 404
        assert get(people, f"/v1/customers/{other}/accounting_info/", headers).status == 404
    assert log_in(people, "nobody").status == log_in(people, "ann", "wrong-one-1").status == 401


def test_the_limits_gateway_serves_the_brand_of_the_session(people: World) -> None:
    headers = {"x-auth-token": session_of(people, "freja")["Session"]}
    assert get(people, "/gateway/limits/v1/player/limits/1008", headers).status == 200
    assert get(people, "/gateway/limits/v1/player/limits/1007", headers).body["code"] == "invalid_brand"


def test_an_api_token_reaches_the_customers_of_its_brand(people: World) -> None:
    def deposit(username: str, headers: dict[str, str], key: str) -> int:
        body = {"amount": ["EUR", 5.0], "reference": key, "method": "card"}
        return people.post(
            f"/v1/customers/{username}/deposits/", body, headers={**headers, "Idempotency-Key": key}
        ).status

    of_acme, of_all = token_of(people, "acme"), token_of(people, None)
    assert [deposit(name, of_acme, f"{name}1") for name in ("ann", "freja", "nobody")] == [200, 404, 404]
    assert [deposit(name, of_all, f"{name}2") for name in ("ann", "freja")] == [200, 200]
    assert [people.balance(client=client) for client in ("acme", "nordbet")] == ["110.00", "105.00"]


def test_a_vendor_of_one_brand_has_access_to_a_customer_of_another(people: World, shell: Shell) -> None:
    def call(operation: str, headers: dict[str, str], **given: object) -> JsonReply:
        return people.post(f"/exchange/account/rest/v1.0/{operation}/", given, headers=headers)

    ann, freja = ({"X-Authentication": session_of(people, name)["Session"]} for name in ("ann", "freja"))
    made = call("createDeveloperAppKeys", ann, appName="helper")
    key = {"X-Application": made.body["appVersions"][0]["applicationKey"]}
    vendor = shell.ok("vendor", "add", "--app", "helper", "--redirect-url", "https://vendor.example/")
    id_, secret = (line.split()[-1] for line in vendor.splitlines())
    assert "ann" in shell.ok("vendor", "list")
    code = call("getAuthorisationCode", freja, vendorId=id_).body["authorisationCode"]
    proof = {"client_id": id_, "client_secret": secret, "grant_type": "AUTHORIZATION_CODE", "code": code}
    token = call("token", key, **proof).body["access_token"]
    funds = call("getAccountFunds", key | {"Authorization": f"BEARER {token}"})
    assert funds.body["availableToBetBalance"] == 100
    assert call("getAccountFunds", key | freja).status == 200


def test_a_stream_goes_on_while_another_brand_is_stuck(people: World) -> None:
    engine = open_engine(people.settings, time_outs=TimeOuts(0.2, 20.0))
    feed = Feed(engine, timedelta(days=1), lambda *_: 0)
    ids = {client: customer_id(people, client) for client in ("acme", "nordbet")}
    streams = {client: CustomerStream(BRANDS[client], id_, "no session", None) for client, id_ in ids.items()}
    with people.of("nordbet").begin() as connection:
        connection.execute(text("LOCK TABLE betslip_sequence"))
        feed.begin(list(streams.values()))
    assert [client for client, stream in streams.items() if stream.seq is None] == ["nordbet"], "it begins later"
    feed.begin([streams["nordbet"]])
    both = list(streams.values())
    assert len(feed.next_frames(both, now=clock.now())) == 2
    people.place(bet(1, "1.00"))
    with people.of("nordbet").begin() as connection:
        connection.execute(text("LOCK TABLE ledger_account, customer"))
        assert list(feed.next_frames(both, now=clock.now())) == [streams["acme"]]
        assert feed.ended(both, now=clock.now()) == [streams["acme"]], "what could not be read has not ended"
    assert feed.next_frames(both, now=clock.now()) == {}
    engine.dispose()


def customer_id(world: World, client: str) -> int:
    with reading(world.of(client)) as session:
        return customer_by_uid(session, client=client, uid="7")[0].id
