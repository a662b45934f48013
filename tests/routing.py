"""Compiles each route once per process: for a new application per test, that takes longer than most tests' requests."""

from typing import Any

from werkzeug.routing import Rule

# What a route is compiled to, by all that it is compiled from.
_compiled: dict[tuple[Any, ...], dict[str, Any]] = {}
_RESULTS = ("_parts", "_trace", "_converters", "arguments")
_BUILDERS = ("_build", "_build_unknown")


class CachedRule(Rule):
    """A route that is compiled once for all applications. What it matches and builds does not change."""

    def compile(self) -> None:
        key = (self.rule, self.host, self.subdomain, self.merge_slashes, repr(self.defaults))
        if key not in _compiled:
            super().compile()
            builders = {name: getattr(self, name).__func__ for name in _BUILDERS}
            _compiled[key] = {name: getattr(self, name) for name in _RESULTS} | builders
            return
        for name, value in _compiled[key].items():
            setattr(self, name, value.__get__(self) if name in _BUILDERS else value)
