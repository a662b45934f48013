"""A username is one whatever its case, and a uid may be a number, as in the callbacks."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text
from sqlalchemy.exc import IntegrityError

from tests.desk import PASSWORD, Desk
from tests.test_commands import Shell
from tests.world import OK, World, bet
from wallet_hooks.database import writing
from wallet_hooks.database.migrating import downgrade
from wallet_hooks.identity.passwords import hash_password

PAY = {"method": "card", "amount": ["EUR", 1], "reference": "P1"}


def zoe(desk: Desk, **given: Any) -> Any:
    return {"username": "Zoe", "password": PASSWORD, "group_id": desk.group, "ccy_code": "EUR"} | given


def test_a_username_is_kept_as_given_and_taken_in_any_case(desk: Desk) -> None:
    assert desk.ok("boss", "POST", "/v1/customers/", zoe(desk))["username"] == "Zoe"
    for username in ("zoe", "ZOE", "Zoe"):
        reply = desk.call("boss", "POST", "/v1/customers/", zoe(desk, username=username, uid="other"))
        assert (reply.status, reply.body["code"]) == (400, "conflict")
        assert desk.ok("boss", "GET", f"/v1/customers/{username}/")["username"] == "Zoe"
        login = {"username": username, "password": PASSWORD}
        assert desk.call(None, "POST", "/v1/sessions/", login).status == 200
    assert desk.ok("boss", "PATCH", "/v1/customers/zoe/", {"username": "zOE"})["username"] == "zOE", "it is its own"


def test_names_that_only_unicode_folds_alike_are_different(desk: Desk) -> None:
    """The kelvin sign is a `k` to Python, and to nobody's keyboard."""
    with writing(desk.world.engine) as session:
        session.execute(text("UPDATE customer SET username = 'kim' WHERE username = 'ann'"))
    assert desk.call("boss", "GET", "/v1/customers/KIM/").status == 200
    assert desk.call("boss", "GET", "/v1/customers/\u212aim/").status == 404


def test_every_call_takes_a_username_in_any_case(desk: Desk) -> None:
    of_ann = "/v1/customers/aNN"
    for path in ("", "/accounting_info", "/credit_limit_history", "/bookie_accounts"):
        assert desk.call("boss", "GET", f"{of_ann}{path}/").status == 200
    assert desk.call("ann", "GET", f"{of_ann}/can_place_bets/").status == 200
    assert desk.call("boss", "PATCH", f"{of_ann}/", {"name": "Ann"}).status == 200
    assert desk.call("boss", "PATCH", "/v1/customers/BOSS/", {"name": "x"}).status == 403, "oneself"
    assert desk.call("boss", "POST", f"{of_ann}/deposits/", PAY, headers={"Idempotency-Key": "1"}).status == 200
    token = f"token:{desk.api_token('cashier')}"
    assert desk.call(token, "POST", f"{of_ann}/withdrawals/", PAY, headers={"Idempotency-Key": "2"}).status == 200
    managers = f"/v1/groups/{desk.group}/managers/"
    desk.ok("boss", "POST", managers, {"username": "ANN"})
    desk.ok("boss", "DELETE", f"{managers}Ann/")
    assert desk.call("boss", "DELETE", f"{managers}BOSS/").body["code"] == "last_manager"


def test_every_command_takes_a_username_in_any_case(desk: Desk, tmp_path: Path) -> None:
    shell = Shell(desk.world.settings.database_url)
    group = ["--brand", "acme", "--name", "desk", "--username"]
    shell.ok("group", "manager", *group, "ANN")
    shell.ok("group", "manager", *group, "aNn", "--remove")
    shell.ok("group", "add", "--brand", "acme", "--name", "third", "--manager", "ANN")
    rules = tmp_path / "rules.json"
    rules.write_text("[]")
    shell.ok("bookie", "rules", "--customer", "ANN", str(rules))
    taken = ["customer", "create", "--brand", "acme", "--uid", "99", "--currency", "EUR", "--username"]
    assert "taken" in shell.run(*taken, "ANN").stderr
    file = tmp_path / "customers.csv"
    file.write_text("brand,uid,username,currency,balance,credit_limit\nacme,90,Kay,EUR,1,0\nacme,91,kAY,EUR,1,0\n")
    assert "taken" in shell.run("customer", "import", str(file)).stderr


def test_usernames_raced_for_in_two_cases_are_given_once(desk: Desk) -> None:
    tokens = [{"Session": desk.token("boss")} for _ in range(4)]

    def create(number: int) -> int:
        body = zoe(desk, username=("zoe", "ZOE", "Zoe", "zOe")[number], uid=f"u{number}")
        return desk.call(None, "POST", "/v1/customers/", body, headers=tokens[number]).status

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == [200, 400, 400, 400]
    with pytest.raises(IntegrityError), writing(desk.world.engine) as session:
        session.execute(text("UPDATE customer SET username = 'BOB' WHERE username = 'ann'"))


def test_a_uid_may_be_a_number_as_in_the_callbacks(desk: Desk) -> None:
    given = zoe(desk, uid=90071992547409931234, roles={"customer": True, "bet_placer": True})
    assert desk.ok("boss", "POST", "/v1/customers/", given)["uid"] == "90071992547409931234"
    assert desk.world.place(bet(1, "0.00", user=90071992547409931234)) == OK
    form = f"username=yan&password={PASSWORD}&group_id={desk.group}&ccy_code=EUR&uid=0042"
    reply = desk.call("boss", "POST", "/v1/customers/", form, content_type="application/x-www-form-urlencoded")
    assert reply.body["data"]["uid"] == "0042"


def schema_of(engine: Engine) -> tuple[Any, ...]:
    columns = {column["name"] for column in inspect(engine).get_columns("customer")}
    with engine.connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        return version, columns, connection.execute(text("SELECT username FROM customer ORDER BY id")).scalars().all()


@pytest.mark.all_together
def test_the_migration_names_usernames_that_differ_only_in_case_and_changes_nothing(world: World) -> None:
    world.customer("8")
    world.customer("9")
    downgrade(world.engine, "0014")
    with world.engine.begin() as connection:
        for uid, username in (("7", "Zoe"), ("8", "ZOE"), ("9", "ann")):
            connection.execute(text("UPDATE customer SET username = :n WHERE uid = :u"), {"n": username, "u": uid})
    before = schema_of(world.engine)
    shell = Shell(world.settings.database_url)
    ran = shell.run("db", "upgrade")
    assert ran.returncode == 1
    assert "differ only in case: ZOE (acme 8), Zoe (acme 7). Nothing was migrated" in ran.stderr
    assert "ann" not in ran.stderr
    assert schema_of(world.engine) == before, "neither this migration's nor the others' of the same run"
    with world.engine.begin() as connection:
        connection.execute(text("UPDATE customer SET username = 'zoe2' WHERE uid = '8'"))
    shell.ok("db", "upgrade")
    assert schema_of(world.engine)[1] > before[1]


@pytest.mark.all_together
def test_the_migration_keeps_locks_countries_roles_and_rates(world: World) -> None:
    world.customer("8", password_hash=hash_password(PASSWORD))
    downgrade(world.engine, "0014")
    old = {
        "brand": {"allowed_countries": "GB,IE", "denied_countries": ""},
        "customer": {"roles": "bet_placer,customer", "commission_rates": "2026-03-01=2.5,2026-04-01=0.000001"},
    }
    with world.engine.begin() as connection:
        for table, columns in old.items():
            for column, value in columns.items():
                connection.execute(text(f"UPDATE {table} SET {column} = :v"), {"v": value})
        connection.execute(text("UPDATE customer SET commission_rates = '', locked = true WHERE uid = '8'"))
    shell = Shell(world.settings.database_url)
    shell.ok("db", "upgrade")
    shown = shell.ok("customer", "show", "--brand", "acme", "--uid", "8", "--json")
    assert '"lock_reason": "manager"' in shown
    with world.engine.connect() as connection:
        rows = connection.execute(text(f"SELECT {_texts('customer')} FROM customer ORDER BY uid")).all()
        assert list(map(tuple, rows)) == [
            ('["bet_placer","customer"]', '[["2026-03-01","2.5"],["2026-04-01","0.000001"]]'),
            ('["bet_placer","customer"]', "[]"),
        ]
        assert tuple(connection.execute(text(f"SELECT {_texts('brand')} FROM brand")).one()) == ('["GB","IE"]', "[]")
    shell.ok("customer", "change", "--brand", "acme", "--uid", "8", "--commission-rate", "7", "--commission-from",
             "2026-05-01", "--role", "customer", "--role", "group_spy")  # fmt: skip
    shell.ok("brand", "countries", "--client", "acme", "--deny", "US", "--deny", "FR")
    downgrade(world.engine, "0014")
    with world.engine.connect() as connection:
        rows = connection.execute(text("SELECT roles, commission_rates FROM customer ORDER BY uid")).all()
        assert list(map(tuple, rows)) == [
            tuple(old["customer"].values()),
            ("customer,group_spy", "2026-05-01=7"),
        ]
        assert tuple(connection.execute(text("SELECT allowed_countries, denied_countries FROM brand")).one()) == (
            "", "FR,US",
        )  # fmt: skip


def _texts(table: str) -> str:
    columns = {"customer": ("roles", "commission_rates"), "brand": ("allowed_countries", "denied_countries")}
    return ", ".join(f"CAST({column} AS text)" for column in columns[table])
