"""Compiles each route once per process: for a new application per test, that takes longer than most tests' requests."""

from collections.abc import Callable
from typing import Any

from werkzeug.routing import Rule

_Builder = Callable[..., tuple[str, str]]

_builders: dict[tuple[Any, ...], _Builder] = {}


class CachedRule(Rule):
    """A route that takes its compiled URL builder from a cache. What it matches and builds does not change."""

    def _compile_builder(self, append_unknown: bool = True) -> _Builder:
        if self.defaults:
            return super()._compile_builder(append_unknown)
        key = (self.rule, *self._trace, append_unknown)
        if key not in _builders:
            _builders[key] = super()._compile_builder(append_unknown)
        return _builders[key]
