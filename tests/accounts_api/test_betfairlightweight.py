"""A client that others wrote for the vendor's own service works with nothing but the host changed."""

from pathlib import Path

import pytest
from betfairlightweight import APIClient
from betfairlightweight.exceptions import APIError, LoginError

from tests.accounts_api.client import AccountClient
from tests.desk import PASSWORD, Desk
from tests.service import served
from tests.test_commands import Shell
from tests.world import bet, result
from wallet_hooks.identity.passwords import hash_password

pytestmark = pytest.mark.served


def client_of(url: str, key: str, password: str = PASSWORD) -> APIClient:
    client = APIClient("ann", password, app_key=key, lightweight=False)
    client.identity_uri, client.api_uri = f"{url}/api/", f"{url}/exchange/"
    return client


def test_betfairlightweight_works_unchanged(desk: Desk, tmp_path: Path) -> None:
    key, _ = AccountClient(desk).new_keys("ann", "app")
    desk.world.change_customer("7", password_hash=hash_password(PASSWORD))
    desk.world.place(bet(1, "10.00"))
    desk.world.settle(result(1, "25.00"))
    (tmp_path / "rates.csv").write_text("date,currency,rate\n2026-11-20,USD,1.16\n2026-11-20,GBP,0.88\n")
    Shell(desk.world.settings.database_url).ok("rates", "import", str(tmp_path / "rates.csv"))
    desk.world.close_app()
    with served(desk.world.settings.database_url, tmp_path) as (url, _):
        client = client_of(url, key)
        client.login_interactive()
        assert client.session_token
        assert client.keep_alive().status == "SUCCESS"

        funds = client.account.get_account_funds()
        assert (funds.available_to_bet_balance, funds.exposure, funds.wallet) == (115.0, 0.0, "UK")
        details = client.account.get_account_details()
        assert (details.currency_code, details.points_balance) == ("EUR", 0)
        statement = client.account.get_account_statement()
        assert [item.amount for item in statement.account_statement] == [100.0, -10.0, 25.0]
        assert statement.account_statement[2].legacy_data.win_lose == "RESULT_WON"
        assert statement.account_statement[2].item_date is not None
        assert statement.more_available is False
        rates = {rate.currency_code: rate.rate for rate in client.account.list_currency_rates()}
        assert set(rates) == {"EUR", "USD"}
        assert rates["USD"] == pytest.approx(1.16 / 0.88)

        assert client.logout().status == "SUCCESS"
        client.session_token = "ended"
        with pytest.raises(APIError, match="AANGX-0002"):
            client.account.get_account_funds()
        with pytest.raises(LoginError, match="INVALID_USERNAME_OR_PASSWORD"):
            client_of(url, key, "wrong").login_interactive()
