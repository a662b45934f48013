"""Charts as SVG, made here: they need no script, and follow the colours of the page."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 220, 64, 24, 8


class Series(NamedTuple):
    """Values of one kind, for each bar; `style` is its CSS class."""

    name: str
    style: str
    values: Sequence[float]


def bar_chart(labels: Sequence[str], series: Sequence[Series], *, title: str, sentence: str) -> Markup:
    """Return stacked bars, from zero. `labels` name the bars; the first, middle and last are shown.

    A negative value is drawn as nothing: the table beside the chart has it.
    """
    tallest = max((sum(max(0, one.values[n]) for one in series) for n in range(len(labels))), default=0) or 1
    width = (_WIDTH - _LEFT) / max(1, len(labels))
    inner = _HEIGHT - _BOTTOM - _TOP
    parts = [_grid(tallest, inner)]
    for n, label in enumerate(labels):
        top = float(_HEIGHT - _BOTTOM)
        for one in series:
            height = max(0, one.values[n]) / tallest * inner
            top -= height
            if height:
                parts.append(
                    Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                        one.style, _LEFT + n * width + width * 0.1, top, width * 0.8, height
                    )
                )
        if n in (0, len(labels) // 2, len(labels) - 1):
            anchor = "start" if n == 0 else "end" if n == len(labels) - 1 else "middle"
            x = _LEFT + (n + {"start": 0.1, "middle": 0.5, "end": 0.9}[anchor]) * width
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(x, _HEIGHT - 6, anchor, label)
            )
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        _WIDTH, _HEIGHT, f"{title}. {sentence}", Markup().join(parts)
    )


def _grid(tallest: float, inner: float) -> Markup:
    """Return lines at nothing, half and the tallest bar, with their values."""
    lines = []
    for share in (0, 0.5, 1):
        y = _HEIGHT - _BOTTOM - share * inner
        line = Markup('<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>').format(_LEFT, _WIDTH, y)
        text = Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>')
        lines.append(line + text.format(_LEFT - 6, y + 4, _short(tallest * share)))
    return Markup().join(lines)


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
