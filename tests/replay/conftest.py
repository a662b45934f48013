"""Fixtures shared by the replay tests."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.replay.recording import Recording
from tests.world import World
from wallet_hooks.replay import case_database


@pytest.fixture(autouse=True)
def migrated_template(
    request: pytest.FixtureRequest, templates: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Copy the tests' migrated database instead of running migrations; the marker `real_schema` runs them."""
    if "real_schema" in request.keywords:
        yield
        return
    url, _ = templates.copy("sqlite", "migrated", tmp_path_factory.mktemp("schema") / "template.db")
    migrated = Path(url.removeprefix("sqlite:///"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case_database, "_migrate", lambda template: shutil.copyfile(migrated, template))
        yield


@pytest.fixture
def recording(world: World, tmp_path: Path) -> Recording:
    return Recording(world, tmp_path)
