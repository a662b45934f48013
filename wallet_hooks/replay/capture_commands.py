"""`wallet-hooks replay record` and `redact`: captures of stored callbacks."""

import secrets
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click
from sqlalchemy import Engine

from wallet_hooks.database import reading
from wallet_hooks.database.brand_commands import chosen_brands
from wallet_hooks.database.brands import engines_of_brands
from wallet_hooks.replay.fixture import is_capture, read_cases, write_cases
from wallet_hooks.replay.recording import CaptureFilter, Recorder
from wallet_hooks.replay.redacting import Redactor
from wallet_hooks.replay.selecting import EXIT_NOTHING, FILE, OUTPUT, read_secret_option, read_time
from wallet_hooks.settings import Settings
from wallet_hooks.web.countries import Countries

_MISSING = "placed before the capture, or by callbacks that it lacks"


@click.command()
@click.option("--from", "first", metavar="TIME", help="Received at or after (ISO 8601, UTC).")
@click.option("--to", "last", metavar="TIME", help="Received before.")
@click.option("--bet", help="About this bet: its id, or game:brand:id.")
@click.option("--status", type=click.IntRange(100, 599), help="Answered with this HTTP status.")
@click.option("--brand", "client", help="The brand, where each has a schema: a capture is of one brand there.")
@click.option("-o", "--output", type=OUTPUT, required=True, help="A .jsonl or .jsonl.gz file.")
@click.pass_obj
def record(
    engine: Engine,
    first: str | None,
    last: str | None,
    bet: str | None,
    status: int | None,
    client: str | None,
    output: Path,
) -> None:
    """Record stored callbacks as a capture. It contains personal data: redact it before you share it."""
    _check_suffix(output)
    brands = engines_of_brands(engine)
    if client is None and len(brands) != 1:
        raise click.UsageError("--brand: a capture is of one brand here, which must be named")
    engine = brands[0][1] if client is None else next(chosen_brands(engine, client))[1]
    countries = Countries(Settings.from_env().geoip_file)
    criteria = CaptureFilter(read_time("--from", first), read_time("--to", last), bet, status)
    with reading(engine) as session:
        recorder = Recorder(session, criteria, countries)
        count = _write(output, recorder.lines())
        notes = [
            (recorder.left_out, f"left out (answered 403, or about bets {_MISSING})"),
            (recorder.left_out_cut, "left out (answered 401, and not stored whole)"),
            (recorder.count_other_movements(), "customers also had other transactions, which are not in the capture"),
            (recorder.count_used_limits(), "customers had bets before, which count for their limits"),
            (recorder.count_changed_limits(), "customers' limits changed meanwhile; the capture has the last ones"),
        ]
    said = "".join(f"; {number} {note}" for number, note in notes if number)
    click.echo(f"{count} callbacks recorded in {output}{said}", err=True)
    if not count:
        sys.exit(EXIT_NOTHING)


def _check_suffix(output: Path) -> None:
    if not is_capture(output):
        raise click.UsageError(f"--output {output}: expected a .jsonl or .jsonl.gz file")


def _write(output: Path, documents: Iterator[dict[str, Any]]) -> int:
    """Write a capture, and return its number of lines. Without one, nothing is written: an older file stays."""
    first = next(documents, None)
    return 0 if first is None else write_cases(output, chain([first], documents))


@click.command()
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=OUTPUT, required=True, help="A .jsonl or .jsonl.gz file.")
@click.option("--key", metavar="REFERENCE", help="env:NAME or file:PATH; the same key gives the same pseudonyms.")
def redact(file: Path, output: Path, key: str | None) -> None:
    """Remove secrets and personal data from a capture. Ids and addresses become pseudonyms; names are removed."""
    if is_capture(file):
        _check_suffix(output)
    redactor = Redactor(secrets.token_bytes(32) if key is None else read_secret_option(key))
    redactor.register_brands(case.document for case in read_cases(file))
    count = _write(output, redactor.redact(case.document for case in read_cases(file)))
    left_out = f"; {redactor.left_out} left out, because a body is not JSON" if redactor.left_out else ""
    click.echo(f"{count} cases written to {output}{left_out}", err=True)
    if not count:
        sys.exit(EXIT_NOTHING)
