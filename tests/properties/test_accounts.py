"""Names of accounts in plain-text journals: each ledger account has one of its own, whatever it is called."""

import re

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.finance.journals import _account

# As `add_brand` and the cashier take them: letters, digits, - and _. Short ones, in few letters, so that they come near
# to each other and to what names are encoded as.
NAMES = st.text("aAcCuUkK7-_", min_size=1, max_size=4) | st.sampled_from(["UK", "uK", "uk", "Uk", "open_stakes"])
ACCOUNTS = st.tuples(NAMES, NAMES).map(lambda names: f"income:stakes:{names[0]}:{names[1]}")


@given(st.lists(ACCOUNTS, unique=True, min_size=2, max_size=20))
def test_two_accounts_never_share_a_name(names: list[str]) -> None:
    written = [_account(name, "income") for name in names]
    assert len(set(written)) == len(names)
    for name in written:
        assert re.fullmatch(r"Income(:[A-Z][A-Za-z0-9-]*)+", name), "which beancount takes"
