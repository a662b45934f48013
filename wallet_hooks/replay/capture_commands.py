"""`wallet-hooks replay record` and `redact`: captures of what was received."""

import secrets
import sys
from pathlib import Path

import click
from sqlalchemy import Engine

from wallet_hooks.database import reading
from wallet_hooks.replay.fixture import read_cases, write_cases
from wallet_hooks.replay.recording import CaptureFilter, Recorder
from wallet_hooks.replay.redacting import Redactor
from wallet_hooks.replay.selecting import FILE, NOTHING, OUTPUT, read_time, secret_at
from wallet_hooks.settings import Settings
from wallet_hooks.web.countries import Countries


@click.command()
@click.option("--from", "first", metavar="TIME", help="Received at or after (ISO 8601, UTC).")
@click.option("--to", "last", metavar="TIME", help="Received before.")
@click.option("--bet", help="Naming this bet: its id, or game:brand:id.")
@click.option("--status", type=click.IntRange(100, 599), help="Answered with.")
@click.option("-o", "--output", type=OUTPUT, required=True, help="A .jsonl or .jsonl.gz file.")
@click.pass_obj
def record(
    engine: Engine, first: str | None, last: str | None, bet: str | None, status: int | None, output: Path
) -> None:
    """Make a capture of stored callbacks. It holds what came: redact it before it leaves the house."""
    if not output.name.endswith((".jsonl", ".jsonl.gz")):
        raise click.UsageError("a capture is a .jsonl or a .jsonl.gz file")
    countries = Countries(Settings.from_env().geoip_file)
    wanted = CaptureFilter(read_time("--from", first), read_time("--to", last), bet, status)
    with reading(engine) as session:
        recorder = Recorder(session, wanted, countries)
        count = write_cases(output, recorder.lines())
        moved = recorder.moved_beside()
    left_out = f"; {recorder.left_out} left out, forbidden or about bets taken before" if recorder.left_out else ""
    beside = f"; {moved} customers' money was also moved beside them, which is not in it" if moved else ""
    click.echo(f"{count} callbacks recorded in {output}{left_out}{beside}", err=True)
    if not count:
        sys.exit(NOTHING)


@click.command()
@click.argument("file", type=FILE)
@click.option("-o", "--output", type=OUTPUT, required=True)
@click.option("--key", metavar="REFERENCE", help="env:NAME or file:PATH; the same key gives the same pseudonyms.")
def redact(file: Path, output: Path, key: str | None) -> None:
    """Take what is secret or personal out of a capture: ids and addresses become pseudonyms, names go."""
    redactor = Redactor(secrets.token_bytes(32) if key is None else secret_at(key))
    redactor.learn(case.document for case in read_cases(file))
    count = write_cases(output, redactor.redact(case.document for case in read_cases(file)))
    left_out = f"; {redactor.left_out} left out, whose bodies are no JSON" if redactor.left_out else ""
    click.echo(f"{count} cases written to {output}{left_out}", err=True)
    if not count:
        sys.exit(NOTHING)
