"""README.md and docs/: commands run as written and print what the page shows; options, links and lists are correct.

A fenced block ```` ```sh ```` runs on a database with the demo data, with a service running on it, after README's
first bet; the blocks of a page share one shell. ```` ```sh empty ```` runs on a database without data and without a
service. ```` ```sh not-run ```` is not run. Commands and options are checked in all of them. A ```` ```text ````
block that follows is the expected output, where `…` stands for any text.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from tests.service import served
from wallet_hooks.cli import cli
from wallet_hooks.finance.exports import FORMATS
from wallet_hooks.finance.reports import REPORTS
from wallet_hooks.identity.policy import PRESETS, Policy
from wallet_hooks.settings import Settings
from wallet_hooks.sportsbook.messages import CODES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
RUN, EMPTY, NOT_RUN = "", "empty", "not-run"
BINARIES = Path(sys.executable).parent
_FENCE = re.compile(r"^```(\w*) ?([\w-]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_END_OF_BLOCK = "-- end of block --"
_ERROR_MARKS = ('"errMsg"', '"status":"error"', '{"error"')


class Block(NamedTuple):
    """A shell block of a page, and its expected output (None: the page shows none)."""

    mode: str
    script: str
    expected: str | None


def blocks_of(page: Path) -> list[Block]:
    found = _FENCE.findall(page.read_text(encoding="utf-8"))
    return [
        Block(mode, content, after[2] if after[0] == "text" else None)
        for (language, mode, content), after in zip(found, [*found, ("", "", "")][1:], strict=True)
        if language == "sh"
    ]


def pages_with(mode: str) -> list[Path]:
    return [page for page in PAGES if any(block.mode == mode for block in blocks_of(page))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def run(blocks: list[Block], directory: Path, environment: dict[str, str]) -> None:
    """Run blocks in one shell at the root of the checkout, and compare the output of each."""
    script = f"\nprintf '\\n%s\\n' '{_END_OF_BLOCK}'\n".join(block.script for block in blocks)
    script = script.replace(" /tmp/", f" {directory}/").replace(".venv/bin/", f"{BINARIES}/")
    completed = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"exec 2>&1\n{script}"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{BINARIES}:{os.environ['PATH']}"} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert completed.returncode == 0, completed.stdout[-2000:]
    for block, output in zip(blocks, completed.stdout.split(f"\n{_END_OF_BLOCK}\n"), strict=True):
        if block.expected is None:
            assert not any(mark in output for mark in _ERROR_MARKS), output
        else:
            pattern = re.escape(block.expected.strip()).replace("…", ".*?")
            assert re.fullmatch(pattern, output.strip(), re.DOTALL), output


@pytest.mark.served
@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with(RUN), ids=name_of)
def test_commands_print_what_the_page_shows(page: Path, database_url: str, tmp_path: Path) -> None:
    environment = {"WALLET_HOOKS_DATABASE_URL": database_url}
    prepare = Block(RUN, "wallet-hooks db upgrade\nwallet-hooks demo --if-empty\n", None)
    run([prepare], tmp_path, environment)
    first_bet = [block for block in blocks_of(README) if block.mode == RUN][:1]
    blocks = [block for block in blocks_of(page) if block.mode == RUN]
    with served(database_url, tmp_path) as (url, _):
        run(
            [
                block._replace(script=block.script.replace("http://127.0.0.1:8000", url))
                for block in (blocks if page == README else first_bet + blocks)
            ],
            tmp_path,
            environment,
        )


@pytest.mark.slow
@pytest.mark.parametrize("page", pages_with(EMPTY), ids=name_of)
def test_commands_on_an_empty_database_run(page: Path, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("brand,uid,username,currency,balance,credit_limit\nacme,8,bob,EUR,1,0\n")
    environment = {
        "WALLET_HOOKS_DATABASE_URL": database_url,
        "ACME_BETFLEX_SECRET": "x" * 32,
        "PASSWORD": "passw0rd1",
    }
    run([block for block in blocks_of(page) if block.mode == EMPTY], tmp_path, environment)


def test_readme_has_less_than_120_lines() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) < 120


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_options_and_make_targets_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([\w-]+)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for words in _invocations(text):
        _check_invocation(words)


def _invocations(text: str) -> Iterator[list[str]]:
    """Yield the words after `wallet-hooks` for each command in a page's shell blocks and inline code."""
    blocks = [content for language, _, content in _FENCE.findall(text) if language == "sh"]
    spans = re.findall(r"`([^`\n]+)`", _FENCE.sub("", text))
    for code in (*blocks, *spans):
        for line in re.findall(r"(?:^|[\s/(|])wallet-hooks ((?:\\\n|[^\n])*)", code, re.MULTILINE):
            command = re.split(r"\s#|[|;)>]|&&|<<", line.replace("\\\n", " "))[0]
            yield shlex.split(command)


def _check_invocation(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words and not words[0].startswith(("-", "…")):
        found = command.get_command(context, words[0])
        assert found is not None, f"{command.name} has no command {words[0]!r}"
        command, words = found, words[1:]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            name = word.partition("=")[0]
            assert name in {*options, "--help"}, f"{command.name} has no option {name}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_linked_files_anchors_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(#[^)\s]*)?\)", text):
        if "://" not in target:
            path = (page.parent / target).resolve() if target else page
            assert path.exists(), target
            assert not anchor or anchor[1:] in _anchors(path), f"{target}{anchor}"
    for path_text in re.findall(r"`([\w/]+/\w+\.(?:py|json))`", text):
        assert any((base / path_text).exists() for base in (ROOT, ROOT / "wallet_hooks")), path_text


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub generates them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _documented(page: str) -> set[str]:
    """Return the words of a page's inline code."""
    text = _FENCE.sub("", (ROOT / "docs" / page).read_text(encoding="utf-8"))
    return {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"[\w-]+", span)}


def options_without_help(command: click.Command, words: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            found = command.get_command(click.Context(command), name)
            assert found is not None
            yield from options_without_help(found, f"{words} {name}")
    else:
        options = (one for one in command.params if isinstance(one, click.Option))
        yield from (f"{words} {option.opts[0]}" for option in options if not option.help)


def test_every_option_says_what_it_is_for() -> None:
    assert list(options_without_help(cli, "wallet-hooks")) == []


def test_operations_lists_exactly_the_settings() -> None:
    documented = {word for word in _documented("operations.md") if word.startswith("WALLET_HOOKS_")}
    assert documented == {f"WALLET_HOOKS_{field.name.upper()}" for field in fields(Settings)}


def test_finance_lists_every_report_and_format() -> None:
    assert {*REPORTS, *FORMATS} <= _documented("finance.md")


def test_callbacks_lists_every_code() -> None:
    page = (ROOT / "docs/protocols/callbacks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"[a-zA-Z_]+", page)) >= CODES


def test_limits_lists_every_rule_of_a_policy_and_every_preset() -> None:
    assert {*Policy._fields, *PRESETS} <= _documented("protocols/limits.md")
