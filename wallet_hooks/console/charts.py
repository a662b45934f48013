"""Charts as SVG, made here: they need no script, and follow the colours of the page."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 720, 220, 64, 24, 8
_INNER = _HEIGHT - _BOTTOM - _TOP
_ALL_LABELLED = 6
_GAP = 0.1  # on each side of a bar, as a share of its place


class Series(NamedTuple):
    """Values of one kind, for each bar; `style` is its CSS class."""

    name: str
    style: str
    values: Sequence[float]


class _Scale(NamedTuple):
    """The range of values, which includes zero."""

    low: float
    high: float

    def y(self, value: float) -> float:
        return _TOP + (self.high - value) / (self.high - self.low) * _INNER


def bar_chart(labels: Sequence[str], series: Sequence[Series], *, title: str, sentence: str) -> Markup:
    """Return bars: positive values are stacked upwards from zero, negative ones downwards.

    `labels` name the bars; of many, the first, middle and last are shown.
    """
    stacks = [[one.values[n] for one in series] for n in range(len(labels))]
    high = max((sum(value for value in stack if value > 0) for stack in stacks), default=0)
    low = min((sum(value for value in stack if value < 0) for stack in stacks), default=0)
    scale = _Scale(low, high if high > low else low + 1)
    width = (_WIDTH - _LEFT) / max(1, len(labels))
    parts = [_line(scale, value) for value in ((low, 0, high) if low else (0, _middle(scale.high), scale.high))]
    parts += [_bar(scale, stack, series, _LEFT + n * width, width) for n, stack in enumerate(stacks)]
    labelled = range(len(labels)) if len(labels) <= _ALL_LABELLED else (0, len(labels) // 2, len(labels) - 1)
    parts += [_label(labels, n, width) for n in labelled]
    svg = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>')
    return svg.format(_WIDTH, _HEIGHT, f"{title}. {sentence}", Markup().join(parts))


def _bar(scale: _Scale, stack: Sequence[float], series: Sequence[Series], left: float, width: float) -> Markup:
    up = down = 0.0
    parts = []
    rect = Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>')
    for value, one in zip(stack, series, strict=True):
        begins = up if value > 0 else down
        top, bottom = sorted((scale.y(begins), scale.y(begins + value)))
        if value:
            parts.append(rect.format(one.style, left + width * _GAP, top, width * (1 - 2 * _GAP), bottom - top))
        up, down = up + max(0, value), down + min(0, value)
    return Markup().join(parts)


def _line(scale: _Scale, value: float) -> Markup:
    """Return a line across the chart at a value, with the value."""
    y = scale.y(value)
    line = Markup('<line x1="{0}" x2="{1}" y1="{2:.1f}" y2="{2:.1f}"/>').format(_LEFT, _WIDTH, y)
    return line + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(_LEFT - 6, y + 4, _short(value))


def _label(labels: Sequence[str], n: int, width: float) -> Markup:
    """Return the label of a bar; those at the edges stay inside."""
    anchor, place = ("start", _GAP) if n == 0 else ("end", 1 - _GAP) if n == len(labels) - 1 else ("middle", 0.5)
    text = Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>')
    return text.format(_LEFT + (n + place) * width, _HEIGHT - 6, anchor, labels[n])


def _middle(high: float) -> float:
    """Return about half of a value; of a whole number a whole number."""
    return high // 2 if high == int(high) else high / 2


def _short(value: float) -> str:
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"
