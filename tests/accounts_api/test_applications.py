"""Applications of developers: pairs of keys, unique names, and a limit."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.accounts_api.client import AccountClient
from wallet_hooks.accounts_api import applications


def test_keys_come_in_pairs_and_are_listed(each: AccountClient) -> None:
    made = each.ok("createDeveloperAppKeys", appName="My app")
    assert (made["appName"], each.ok("getDeveloperAppKeys")) == ("My app", [made])
    shown = [(one["version"], one["delayData"], one["active"], one["owner"]) for one in made["appVersions"]]
    assert shown == [("1.0", False, True, "ann"), ("1.0-DELAY", True, True, "ann")]
    keys = {one["applicationKey"] for one in made["appVersions"]}
    assert all(len(key) == 16 and key.isalnum() for key in keys)
    assert len(keys) == 2
    assert each.ok("getDeveloperAppKeys", who="bob") == []


@pytest.mark.parametrize("name", ["my app", "MY APP", " My app "])
def test_names_are_unique_over_all_developers_in_any_case(each: AccountClient, name: str) -> None:
    each.new_keys("ann", "My App")
    assert each.code("createDeveloperAppKeys", who="bob", appName=name) == "DUPLICATE_APP_NAME"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "INVALID_INPUT_DATA"), (" ", "INVALID_INPUT_DATA"), ("x" * 101, "INVALID_INPUT_DATA"),
        ("a\x00b", "INVALID_INPUT_DATA"), ("x" * 1001, "INVALID_INPUT_DATA"), (7, "DSC-0044"), (None, "DSC-0018"),
    ],
)  # fmt: skip
def test_invalid_names_are_refused(each_shared: AccountClient, name: Any, code: str) -> None:
    assert each_shared.code("createDeveloperAppKeys", appName=name) == code
    assert each_shared.desk.world.count("application") == 0


def test_a_developer_has_a_limited_number_of_applications(each: AccountClient) -> None:
    each.desk.world.configure(accounts_applications=2)
    for name in ("one", "two"):
        each.new_keys("ann", name)
    assert each.code("createDeveloperAppKeys", appName="three") == "APP_CREATION_FAILED"
    assert each.code("createDeveloperAppKeys", who="bob", appName="three") is None


def test_keys_that_cannot_be_created_leave_no_application(each: AccountClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(applications, "_new_key", lambda: "k" * 16)
    assert each.code("createDeveloperAppKeys", appName="app") == "APP_KEY_CREATION_FAILED"
    assert each.desk.world.count("application") == 0


def test_one_of_many_at_once_gets_a_name(client: AccountClient) -> None:
    for who in ("ann", "bob", "boss", "eve"):
        client.token(who)
    with ThreadPoolExecutor(4) as pool:
        codes = list(
            pool.map(
                lambda who: client.code("createDeveloperAppKeys", who=who, appName="app"), ("ann", "bob", "boss", "eve")
            )
        )
    assert sorted(code or "" for code in codes) == ["", *["DUPLICATE_APP_NAME"] * 3]
