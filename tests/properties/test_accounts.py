"""Account names in plain-text journals: every ledger account has a unique, valid name."""

import re

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.finance.journals import _account

# As `add_brand` and the cashier accept them: letters, digits, - and _. Short names of few letters, so that they are
# similar to each other and to encoded names.
NAMES = st.text("aAcCuUkK7-_", min_size=1, max_size=4) | st.sampled_from(["UK", "uK", "uk", "Uk", "open_stakes"])
ACCOUNTS = st.tuples(NAMES, NAMES).map(lambda names: f"income:stakes:{names[0]}:{names[1]}")


@given(st.lists(ACCOUNTS, unique=True, min_size=2, max_size=20))
def test_accounts_have_different_names(names: list[str]) -> None:
    written = [_account(name, "income") for name in names]
    assert len(set(written)) == len(names)
    for name in written:
        assert re.fullmatch(r"Income(:[A-Z][A-Za-z0-9-]*)+", name), "a valid name in beancount"
