"""The catalogue of cases, as it is, and with everything sent three times in another order, on both engines."""

from pathlib import Path

import pytest

from tests.replay.stages import stages_on
from wallet_hooks.replay.fixture import read_sequences
from wallet_hooks.replay.linting import suspects
from wallet_hooks.replay.reports import told
from wallet_hooks.replay.running import RunOptions, play_all
from wallet_hooks.sportsbook.messages import CODES, STATUS_OF_CODE
from wallet_hooks.telemetry import log_errors_only

CATALOGUE = Path(__file__).parent.parent / "fixtures" / "callbacks"
FOLDERS = sorted(path.name for path in CATALOGUE.iterdir())
MODES = {
    "as-it-is": RunOptions(),
    "thrice-and-shuffled": RunOptions(duplicate=3, shuffle=20261120, second_pass=False),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_case_is_answered_as_it_expects(database_url: str, folder: str, mode: str) -> None:
    log_errors_only()
    with stages_on(database_url) as stages:
        results = list(play_all(read_sequences([CATALOGUE / folder]), stages, MODES[mode]))
    failed = ["\n".join(told(played, "http://127.0.0.1:8000")) for played in results if not played.passed]
    assert not failed, "\n".join(failed)
    assert len(results) == len(list((CATALOGUE / folder).glob("*.json")))


def test_the_catalogue_covers_every_answer() -> None:
    """Each status and code of the interface that this build can give, and each limit that a callback can meet."""
    cases = [case for sequence in read_sequences([CATALOGUE]) for case in sequence.cases]
    assert len(cases) >= 120
    codes = {case.expect["body"].get("error") for case in cases if isinstance(case.expect.get("body"), dict)}
    assert codes == CODES - {"OK", "try_again"} | {None}
    assert set(STATUS_OF_CODE) <= CODES
    assert {case.expect["status"] for case in cases} == {200, 400, 401, 402, 403, 404, 409, 411, 413, 415}


def test_a_qa_engineer_can_read_every_case() -> None:
    """Each says what it shows, is tagged, is named as its file is, expects balances, and holds no secret."""
    for sequence in read_sequences([CATALOGUE]):
        for case in sequence.cases:
            assert case.document["description"].endswith("."), case.where
            assert case.name == case.path.stem, case.where
            assert case.path.parent.name in case.tags, case.where
            assert case.expect["balances"], case.where
            assert list(suspects(case)) == [], case.where
