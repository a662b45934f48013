"""What the tests of replay begin with."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wallet_hooks.replay import stage


@pytest.fixture(autouse=True)
def schema_at_hand(
    request: pytest.FixtureRequest, templates: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Throw-away databases begin as copies of the tests' own; `real_schema` has them made as users have."""
    if "real_schema" in request.keywords:
        yield
        return
    url, _ = templates.copy("sqlite", "migrated", tmp_path_factory.mktemp("schema") / "template.db")
    made = Path(url.removeprefix("sqlite:///"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "_migrate", lambda template: shutil.copyfile(made, template))
        yield
