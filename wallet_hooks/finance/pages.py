"""A table as a self-contained HTML page: it loads nothing from the network and escapes all values."""

from collections.abc import Iterable
from typing import BinaryIO

from jinja2 import Environment, PackageLoader

from wallet_hooks.finance.batches import Columns, Row

_PAGES = Environment(loader=PackageLoader("wallet_hooks"), autoescape=True)


def write_html(title: str, columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """Stream rows into a page. Values are shown unformatted, amounts included."""
    kinds = list(columns.values())
    shown = (zip(row, kinds, strict=True) for row in rows)
    stream = _PAGES.get_template("table.html").stream(title=title, columns=columns, rows=shown)
    stream.enable_buffering(100)
    stream.dump(out, encoding="utf-8")
    out.write(b"\n")
