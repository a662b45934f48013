"""What `export` and `reconcile` share: the reporting database, low priority, progress, and a file for each brand."""

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click
from sqlalchemy import Engine

from wallet_hooks.database import open_engine
from wallet_hooks.database.brands import engine_of_client, engines_of_brands
from wallet_hooks.ledger import currencies
from wallet_hooks.processors import lower_priority
from wallet_hooks.settings import Settings

T = TypeVar("T")


def brands_with_engines(engine: Engine, client: str | None) -> list[tuple[str | None, Engine]]:
    """Return a brand with its engine; without a brand, all of them, as `engines_of_brands` does."""
    return engines_of_brands(engine) if client is None else [(client, engine_of_client(engine, client))]


def file_of_brand(output: Path, client: str | None) -> Path:
    """Return the file of a brand where each has its own: `entries.acme.csv` for `entries.csv`."""
    return output if client is None else output.with_name(f"{output.stem}.{client}{output.suffix}")


@contextmanager
def progress_bar(label: str, what: str) -> Iterator[Callable[[int], None]]:
    """Show a counter on stderr if it is a terminal. The total number is not known beforehand."""
    terminal = sys.stderr
    with click.progressbar(
        itertools.count(), label=label, item_show_func=lambda _: what, show_pos=True, file=terminal,
        hidden=not terminal.isatty(),
    ) as bar:  # fmt: skip
        yield bar.update


def with_progress(items: Iterable[T], progress: Callable[[int], None]) -> Iterator[T]:
    """Yield the items, and call `progress` after each thousand."""
    for number, item in enumerate(items, 1):
        if number % 1000 == 0:
            progress(1000)
        yield item


@contextmanager
def reporting_engine(engine: Engine) -> Iterator[Engine]:
    """Yield the engine for reports: the replica of the settings, or else the given database.

    Lowers the priority of the process, because the service often runs on the same machine.
    """
    lower_priority()
    settings = Settings.from_env()
    if settings.reporting_database_url is None:
        yield engine
        return
    reports = open_engine(settings, for_reports=True)
    currencies.register_on_first_use(reports)
    try:
        yield reports
    finally:
        reports.dispose()
