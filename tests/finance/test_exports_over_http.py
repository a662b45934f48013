"""Exports over HTTP: who may have them, what is refused, and the manifest."""

import hashlib
import json
from typing import Any

import pytest

from tests.finance.history import exported
from tests.world import World
from wallet_hooks import clock
from wallet_hooks.database import writing
from wallet_hooks.identity import api_tokens


@pytest.mark.all_together
def test_exports_over_http_need_a_finance_token_for_all_brands(history: World) -> None:
    with writing(history.engine) as session:
        finance, qa, acme = (
            api_tokens.create(session, name="t", role=role, brand_id=brand, now=clock.now())
            for role, brand in (("finance", None), ("qa", None), ("finance", 1007))
        )

    def get(path: str, token: str | None = finance) -> Any:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return history.client.get(f"/finance/exports/{path}", headers=headers)

    answer = get("journal.csv?from=2026-11-18&to=2026-11-20")
    assert (answer.status_code, answer.data) == (200, exported(history, "journal", "csv"))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="journal.csv"'
    assert json.loads(answer.headers["X-Export-Manifest"])["rows"] == history.count("ledger_entry")
    assert get("statement.jsonl?brand=acme&uid=7").status_code == 200
    assert [get("journal.csv", token).status_code for token in (None, "x", qa, acme)] == [401, 401, 403, 403]
    for path, status in {
        "nothing.csv": 400,
        "journal.pdf": 400,
        "journal.csv?from=yesterday": 400,
        "journal.csv?from=2026-11-20&to=2026-11-19": 400,
        "statement.csv": 400,
        "statement.csv?brand=acme": 400,
        "statement.csv?brand=acme&uid=7&limit=007": 400,
        "statement.csv?brand=acme&uid=nobody": 404,
        "statement.csv?brand=acme&uid=%00": 404,
        "statement.csv?brand=%00&uid=7": 404,
    }.items():
        answer = get(path)
        assert (answer.status_code, set(answer.get_json())) == (status, {"error", "message"}), path


@pytest.mark.parametrize("path", ["journal.csv", "journal.xero", "statement.parquet?brand=acme&uid=7"])
@pytest.mark.all_together
def test_the_manifest_over_http_has_the_hash_of_what_is_sent(history: World, path: str) -> None:
    with writing(history.engine) as session:
        token = api_tokens.create(session, name="t", role="finance", brand_id=None, now=clock.now())
    answer = history.client.get(f"/finance/exports/{path}", headers={"Authorization": f"Bearer {token}"})
    assert json.loads(answer.headers["X-Export-Manifest"])["sha256"] == hashlib.sha256(answer.data).hexdigest()
