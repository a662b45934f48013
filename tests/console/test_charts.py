"""Bars are as high as their values, up or down from zero."""

import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.console.charts import Series, bar_chart

VALUES = st.floats(-1e12, 1e12).map(lambda value: round(value, 2))


def rects(svg: str) -> list[dict[str, float]]:
    names = ("x", "y", "width", "height")
    return [{name: float(one.attrib[name]) for name in names} for one in ElementTree.fromstring(svg).iter("rect")]


def test_positive_bars_stand_on_zero_and_negative_ones_hang_from_it() -> None:
    svg = bar_chart(["a", "b"], [Series("x", "s", [10, -5])], title="T", sentence="S.")
    up, down = rects(svg)
    assert up["y"] + up["height"] == down["y"]
    assert abs(up["height"] - 2 * down["height"]) < 0.2
    assert 'aria-label="T. S."' in svg


def test_a_chart_without_bars_or_values_is_a_chart() -> None:
    assert rects(bar_chart([], [], title="T", sentence="S.")) == []
    assert rects(bar_chart(["a"], [Series("x", "s", [0])], title="T", sentence="S.")) == []


def test_texts_are_escaped() -> None:
    svg = bar_chart(["<b>"], [Series("x", '"><i>', [1])], title='"', sentence="&")
    ElementTree.fromstring(svg)
    assert not re.search("<b>|<i>", svg)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40))
def test_no_bar_leaves_the_chart(stacks: list[tuple[float, float]]) -> None:
    series = [Series(f"{n}", "s", [stack[n] for stack in stacks]) for n in range(2)]
    for rect in rects(bar_chart([str(n) for n in range(len(stacks))], series, title="T", sentence="S.")):
        assert -0.1 <= rect["y"] <= rect["y"] + rect["height"] <= 197
        assert 63 <= rect["x"] <= rect["x"] + rect["width"] <= 721
