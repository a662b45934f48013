"""The code before the newest migration goes on serving on the migrated database, beside the present code."""

import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.service import post, served
from tests.world import OK, World, bet, refund, result

ROOT = Path(__file__).parents[1]
NEWEST = max((ROOT / "migrations/versions").glob("*.py"))
pytestmark = pytest.mark.slow


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False).stdout


@pytest.fixture(scope="module")
def code_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the commit before the one that added the newest migration."""
    added = git("log", "--diff-filter=A", "--format=%H", "-1", "--", str(NEWEST.relative_to(ROOT))).decode().strip()
    archive = git("archive", f"{added}~1") if added else b""
    if not archive:
        pytest.skip("the history of the repository is not here")
    directory = tmp_path_factory.mktemp("before")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(directory, filter="data")
    return directory


@pytest.fixture
def services(world: World, code_before: Path, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The URLs of the code before and of the present code, on one database."""
    world.close_app()
    with ExitStack() as running:
        urls = []
        for name, code in (("before", code_before), ("now", None)):
            directory = tmp_path / name
            directory.mkdir()
            url, _ = running.enter_context(served(world.settings.database_url, directory, code=code))
            urls.append(url)
        yield urls[0], urls[1]


def test_both_serve_at_once(services: tuple[str, str], world: World, code_before: Path) -> None:
    assert not (code_before / NEWEST.relative_to(ROOT)).exists()
    for number, (first, second) in enumerate((services, services[::-1])):
        taken, returned = 10 * number + 1, 10 * number + 2
        assert post(first, "/bets", {"bets": [bet(taken), bet(returned)]}) == OK
        assert post(second, "/bets", {"bets": [bet(taken), bet(returned)]}) == OK
        assert post(second, "/winners", {"pools": [result(taken)]}) == OK
        assert post(first, "/winners", {"pools": [result(taken)]}) == OK
        assert post(second, "/bets/cancel", {"pools": [refund(returned)]}) == OK
        assert post(first, "/bets", {"bets": [bet(returned)]}).status == 402
        assert post(first, "/bets", {"bets": [bet(99, "1000.00")]}).status == 402
    assert world.balance() == "130.00"
    assert world.differences() == []
