"""A table as a page to look at: it needs no network, and no name in it becomes markup."""

from collections.abc import Iterable
from typing import BinaryIO

from jinja2 import Environment, PackageLoader

from wallet_hooks.finance.batches import Columns, Row

_PAGES = Environment(loader=PackageLoader("wallet_hooks"), autoescape=True)


def write_html(title: str, columns: Columns, rows: Iterable[Row], out: BinaryIO) -> None:
    """Written as the rows come; they are shown as they are, amounts as their columns have them."""
    kinds = list(columns.values())
    shown = (zip(row, kinds, strict=True) for row in rows)
    stream = _PAGES.get_template("table.html").stream(title=title, columns=columns, rows=shown)
    stream.enable_buffering(100)
    stream.dump(out, encoding="utf-8")
    out.write(b"\n")
