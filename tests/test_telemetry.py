"""What the metrics count."""

import pytest
from flask import Flask
from prometheus_client import REGISTRY

from tests.world import OK, World, bet


def counted(part: str, status: int) -> float:
    labels = {"part": part, "status": str(status)}
    return REGISTRY.get_sample_value("wallet_hooks_requests_total", labels) or 0.0


@pytest.mark.parametrize(
    ("method", "path", "part", "status"),
    [
        ("GET", "/v1/customers/ann/accounting_info", "accounting", 401),
        ("POST", "/v1/sessions", "customers", 411),
        ("GET", "/finance/exports/journal.csv", "finance", 401),
        ("GET", "/console", "console", 303),
        ("GET", "/healthz", "probes", 200),
        ("GET", "/nowhere", "unknown", 404),
        ("GET", "/bets", "unknown", 405),
    ],
)
def test_each_answer_is_counted_by_part_and_status(
    world: World, method: str, path: str, part: str, status: int
) -> None:
    before = counted(part, status)
    assert world.client.open(path, method=method).status_code == status
    assert counted(part, status) == before + 1


def test_a_defect_is_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a defect")

    app: Flask = world.app
    monkeypatch.setitem(app.view_functions, "probes.healthz", fail)
    before = counted("probes", 500)
    assert world.client.get("/healthz").status_code == 500
    assert counted("probes", 500) == before + 1


def test_callbacks_are_counted_by_their_own_metric_only(world: World) -> None:
    before = counted("sportsbook", 200)
    assert world.place(bet(1)) == OK
    assert counted("sportsbook", 200) == before
