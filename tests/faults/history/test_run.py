"""Every nemesis strikes once while clients send, and the history that they recorded is right."""

import pytest

from tests.faults.history.nemeses import NEMESES
from tests.faults.history.run import Strike, run_all

pytestmark = pytest.mark.slow
AWAY = 10  # seconds after a strike in which bets are acknowledged again


def test_the_history_is_right_whatever_fails(engine_name: str) -> None:
    strikes: list[Strike] = []
    run_all(engine_name, strikes.append)
    assert {strike.nemesis: strike.problems for strike in strikes if strike.problems} == {}
    assert all(strike.acknowledged > 50 for strike in strikes), strikes
    seconds = {nemesis.name: nemesis.seconds for nemesis in NEMESES}
    assert {strike.nemesis: strike.away for strike in strikes if strike.away > seconds[strike.nemesis] + AWAY} == {}
