"""The statement: its pages, filters and items, whatever order entries were committed in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.accounts_api.client import AccountClient
from tests.world import bet, refund, result
from wallet_hooks.accounts_api.results import StatementLegacyDataSchema
from wallet_hooks.accounts_api.statement import Selection
from wallet_hooks.customers.commission import with_rate

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@given(st.integers(1, 30), st.integers(0, 40), st.sets(st.integers(1, 60)), st.integers(0, 50))
def test_positions_count_what_is_not_excluded(first: int, length: int, excluded: set[int], position: int) -> None:
    selection = Selection(first, first + length - 1, sorted(excluded))
    expected = [version for version in range(first, first + length) if version not in excluded]
    assert list(selection.from_position(position)) == expected[position:]


@pytest.fixture
def key(client: AccountClient) -> str:
    return client.new_keys("ann", "app")[0]


def statement(client: AccountClient, key: str, **given: Any) -> tuple[list[str], bool]:
    """Return the items as `reference amount balance`, and whether more are available."""
    answer = client.ok("getAccountStatement", key=key, **given)
    items = [f"{one['refId']} {one['amount']} {one['balance']}" for one in answer["accountStatement"]]
    return items, answer["moreAvailable"]


def play(client: AccountClient) -> None:
    """An opening balance of 100.00, then a bet that wins, a deposit, a bet that is cancelled, and a correction."""
    world = client.desk.world
    world.place(bet("b:1", "10.00"))
    world.settle(result("b:1", "25.00"))
    world.deposit("5.00", reference="D:1")
    world.place(bet(2, "20.00"))
    world.cancel(refund(2))
    world.settle(result("b:1", "30.00"))


ALL = [
    "customer:acme:7:opening 100.00 100.00",
    "b:1 -10.00 90.00",
    "b:1 25.00 115.00",
    "D:1 5.00 120.00",
    "2 -20.00 100.00",
    "2 20.00 120.00",
    "b:1 -25.00 95.00",
    "b:1 30.00 125.00",
]
PAYMENTS = [ALL[0], ALL[3]]
BETS = [item for item in ALL if item not in PAYMENTS]


def test_every_entry_of_a_wallet_is_an_item_with_its_balance(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    play(each)
    assert statement(each, key) == (ALL, False)
    funds = each.ok("getAccountFunds", key=key)
    assert funds["availableToBetBalance"] == Decimal("125.00")
    assert statement(each, key, wallet="AUSTRALIAN") == ([], False)
    each.ok("transferFunds", key=key, **{"from": "UK", "to": "AUSTRALIAN", "amount": 1})
    (item,), _ = statement(each, key, wallet="AUSTRALIAN")
    assert item.endswith(" 1.00 1.00")


@pytest.mark.parametrize(
    ("include", "expected"),
    [(None, ALL), ("ALL", ALL), ("EXCHANGE", BETS), ("DEPOSITS_WITHDRAWALS", PAYMENTS), ("POKER_ROOM", [])],
)
def test_pages_of_every_filter_follow_one_another(
    client: AccountClient, key: str, include: str | None, expected: list[str]
) -> None:
    play(client)
    for size in (1, 2, 3, 8, 100):
        for start in range(len(expected) + 2):
            page = statement(client, key, includeItem=include, fromRecord=start, recordCount=size)
            assert page == (expected[start : start + size], start + size < len(expected)), (start, size)


def test_a_page_has_a_hundred_items_at_most(client: AccountClient, key: str) -> None:
    for number in range(51):
        client.desk.world.place(bet(f"b{number}", "1.00"))
        client.desk.world.cancel(refund(f"b{number}"))
    for count in (None, 0, 100, 101, 2**31 - 1):
        items, more = statement(client, key, recordCount=count)
        assert (len(items), more) == (100, True)
    assert statement(client, key, fromRecord=2**31 - 1) == ([], False)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"fromRecord": -1}, "INVALID_INPUT_DATA"), ({"recordCount": -1}, "INVALID_INPUT_DATA"),
        ({"fromRecord": "1.5"}, "DSC-0044"), ({"fromRecord": ""}, "DSC-0044"),
        ({"fromRecord": 2**31}, "DSC-0044"), ({"includeItem": "all"}, "DSC-0044"),
        ({"itemDateRange": {"from": "yesterday"}}, "DSC-0044"),
        ({"itemDateRange": {"to": "1764061200000"}}, "DSC-0044"),
        ({"itemDateRange": {"to": "2026-11-27X01"}}, "DSC-0044"), ({"itemDateRange": []}, "DSC-0044"),
        ({"itemDateRange": {"from": 1}}, "DSC-0044"), ({"locale": 1}, "DSC-0044"),
        ({"itemDateRange": {"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}}, "INVALID_INPUT_DATA"),
    ],
)  # fmt: skip
def test_invalid_parameters_are_refused(each_shared: AccountClient, given: dict[str, Any], code: str) -> None:
    for wallet in ("UK", "AUSTRALIAN"):  # of which the second has no entries
        assert each_shared.code("getAccountStatement", key=each_shared.key("ann"), wallet=wallet, **given) == code


def test_a_date_range_that_does_not_bind_is_not_checked(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    turned = {"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}
    assert (
        each.ok("getAccountStatement", key=key, includeItem="EXCHANGE", itemDateRange=turned)["moreAvailable"] is False
    )


def at(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, "0123456789"),
        (at(2), at(4), "234"),
        (at(2.001), at(3.999), "3"),
        (at(2), None, "23456789"),
        (None, at(4), "01234"),
        (at(5), at(5), "5"),
        (at(100), at(200), ""),
        (at(-200), at(-100), ""),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0123456789"),
        ("2026-11-20T13:00:02.000+01:00", "2026-11-20T12:00:03", "23"),
    ],
)
def test_the_date_range_is_inclusive_at_both_ends(
    client: AccountClient, since: str | None, until: str | None, expected: str
) -> None:
    world = client.desk.world
    for number in range(10):
        with freeze_time(NOON + timedelta(seconds=number, microseconds=400)):
            world.deposit("1.00", reference=str(number), uid="8")
    with freeze_time(NOON + timedelta(minutes=10)):
        key, _ = client.new_keys("bob", "app")
        given: dict[str, Any] = {"who": "bob", "key": key, "itemDateRange": {"from": since, "to": until}}
        answer = client.ok("getAccountStatement", **given)
        found = [one["refId"] for one in answer["accountStatement"] if one["refId"] != "customer:acme:8:opening"]
        assert "".join(found) == expected
        filtered = client.ok("getAccountStatement", includeItem="DEPOSITS_WITHDRAWALS", **given)
        assert len(filtered["accountStatement"]) == 11  # the range binds where all items are included, and only there


def test_entries_that_were_committed_out_of_order_are_in_their_range(client: AccountClient) -> None:
    """Another process may have read its clock before this one, and committed after it."""
    world = client.desk.world
    instants = [0, 60, 20, 100, 70, 200, 130, 400, 390, 600]
    for number, seconds in enumerate(instants):
        with freeze_time(NOON + timedelta(seconds=seconds)):
            world.deposit("1.00", reference=str(number), uid="8")
    key, _ = client.new_keys("bob", "app")
    for since in range(-10, 650, 35):
        for until in range(since, 650, 55):
            given = {"from": at(since), "to": at(until)}
            answer = client.ok("getAccountStatement", who="bob", key=key, itemDateRange=given)
            expected = [str(number) for number, seconds in enumerate(instants) if since <= seconds <= until]
            assert [one["refId"] for one in answer["accountStatement"]] == expected


def test_an_item_shows_its_bet(each: AccountClient) -> None:
    key, _ = each.new_keys("ann", "app")
    with freeze_time(NOON):
        each.desk.world.place(bet("b1", "10.00", overdraw="25.00"))
    with freeze_time(NOON + timedelta(hours=1, milliseconds=7)):
        each.desk.world.settle(result("b1", "25.00"))
        each.desk.world.settle(result("b1", "0.00"))
        each._tokens.clear()
        answer = each.ok("getAccountStatement", key=key, includeItem="EXCHANGE", locale="en")
    items = answer["accountStatement"]
    assert [item["legacyData"]["winLose"] for item in items] == ["RESULT_NOT_APPLICABLE", "RESULT_WON", "RESULT_FIX"]
    won = items[1]
    legacy = won["legacyData"]
    assert list(legacy) == list(StatementLegacyDataSchema().fields)
    assert len(legacy) == 18
    assert (won["itemDate"], legacy["placedDate"]) == ("2026-11-20T13:00:00.007Z", "2026-11-20T12:00:00.000Z")
    shown = [legacy[name] for name in ("betSize", "avgPrice", "grossBetAmount", "fullMarketName", "transactionType")]
    assert shown == [Decimal("10.00"), Decimal("2.50"), Decimal("25.00"), "501", "ACCOUNT_CREDIT"]
    assert won["itemClass"] == "UNKNOWN"
    (name,) = won["itemClassData"]
    assert name == "unknownStatementItem"
    assert won["itemClassData"][name].startswith("avgPrice=2.50,betSize=10.00,betType=B,")
    query = text("SELECT reference FROM ledger_transaction WHERE id = :id")
    with each.desk.world.engine.connect() as connection:
        reference = connection.execute(query, {"id": int(legacy["transactionId"])}).scalar()
    assert reference == "betflex:acme:wager:b1:settlement:1"


def test_commission_is_no_bet_and_names_the_winnings_that_it_was_charged_on(each: AccountClient) -> None:
    world = each.desk.world
    world.change_customer(commission_rates=(with_rate((), date_from=NOON.date(), rate="10")))
    key, _ = each.new_keys("ann", "app")
    with freeze_time(NOON):
        world.place(bet("b1", "10.00"))
        world.settle(result("b1", "25.00"))
        world.settle(result("b1", "30.00"))
        each._tokens.clear()
        answer = each.ok("getAccountStatement", key=key, includeItem="EXCHANGE")
        names = ("betSize", "grossBetAmount", "winLose")
        items = [
            (str(item["amount"]), *(str(item["legacyData"][name]) for name in names))
            for item in answer["accountStatement"]
        ]
        assert items[0] == ("-10.00", "10.00", "10.00", "RESULT_NOT_APPLICABLE")
        assert sorted(items[1:]) == [
            ("-1.50", "0", "15.00", "RESULT_NOT_APPLICABLE"),
            ("-2.00", "0", "20.00", "RESULT_NOT_APPLICABLE"),
            ("-25.00", "10.00", "25.00", "RESULT_FIX"),
            ("1.50", "0", "15.00", "RESULT_NOT_APPLICABLE"),
            ("25.00", "10.00", "25.00", "RESULT_WON"),
            ("30.00", "10.00", "30.00", "RESULT_FIX"),
        ]
        # The payout may be on another page.
        (last,) = each.ok("getAccountStatement", key=key, includeItem="EXCHANGE", fromRecord=6)["accountStatement"]
        assert (last["amount"], last["legacyData"]["grossBetAmount"]) == (Decimal("-2.00"), Decimal("20.00"))


def test_a_payment_is_no_bet_whatever_its_reference(client: AccountClient, key: str) -> None:
    client.desk.world.deposit("5.00", reference="x:acme:wager:77:stake")
    item = client.ok("getAccountStatement", key=key)["accountStatement"][1]
    assert (item["refId"], item["legacyData"]["betType"]) == ("x:acme:wager:77:stake", "")
