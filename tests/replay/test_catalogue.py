"""The catalogue of cases, unchanged and with every request sent three times in a shuffled order, on both engines."""

from pathlib import Path

import pytest

from tests.replay.case_databases import database_factory_on
from wallet_hooks.logs import log_errors_only
from wallet_hooks.replay.fixture import read_sequences
from wallet_hooks.replay.linting import find_secrets
from wallet_hooks.replay.reports import describe_failure
from wallet_hooks.replay.running import RunOptions, run_sequences
from wallet_hooks.sportsbook.messages import CODES, STATUS_OF_CODE

CATALOGUE = Path(__file__).parent.parent / "fixtures" / "callbacks"
FOLDERS = sorted(path.name for path in CATALOGUE.iterdir())
MODES = {
    "unchanged": RunOptions(),
    "repeated-and-shuffled": RunOptions(duplicate=3, shuffle=20261120, second_pass=False),
}


@pytest.mark.parametrize("mode", ["unchanged", pytest.param("repeated-and-shuffled", marks=pytest.mark.slow)])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_case_passes(database_url: str, folder: str, mode: str) -> None:
    log_errors_only()
    with database_factory_on(database_url) as new_database:
        results = list(run_sequences(read_sequences([CATALOGUE / folder]), new_database, MODES[mode]))
    failed = [
        "\n".join(describe_failure(case_result, "http://127.0.0.1:8000"))
        for case_result in results
        if not case_result.passed
    ]
    assert not failed, "\n".join(failed)
    assert len(results) == len(list((CATALOGUE / folder).glob("*.json")))


def test_the_catalogue_covers_every_answer() -> None:
    """The cases cover each status and each error code of the callbacks, except try_again."""
    cases = [case for sequence in read_sequences([CATALOGUE]) for case in sequence.cases]
    assert len(cases) >= 120
    codes = {case.expect["body"].get("error") for case in cases if isinstance(case.expect.get("body"), dict)}
    assert codes == CODES - {"OK", "try_again"} | {None}
    assert set(STATUS_OF_CODE) <= CODES
    assert {case.expect["status"] for case in cases} == {200, 400, 401, 402, 403, 404, 409, 411, 413, 415}


def test_every_case_follows_the_conventions() -> None:
    """Each has a description, its folder as a tag, the name of its file, expected balances, and no secret."""
    for sequence in read_sequences([CATALOGUE]):
        for case in sequence.cases:
            assert case.document["description"].endswith("."), case.where
            assert case.name == case.path.stem, case.where
            assert case.path.parent.name in case.tags, case.where
            assert case.expect["balances"], case.where
            assert list(find_secrets(case)) == [], case.where
