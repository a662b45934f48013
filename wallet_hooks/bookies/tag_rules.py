"""Choosing accounts by their tags. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class TagRule(NamedTuple):
    """Matches where one of `any` (if there are some), all of `all` and none of `none` are among the tags."""

    any: frozenset[str]
    all: frozenset[str]
    none: frozenset[str]
    include: bool

    def matches(self, tags: frozenset[str]) -> bool:
        return (not self.any or bool(self.any & tags)) and self.all <= tags and not self.none & tags


class Choice(NamedTuple):
    """Whether an account is chosen, and the number of the rule that decided, from 0 (None: no rule matched)."""

    included: bool
    rule: int | None


def choose(rules: Sequence[TagRule], tags: Iterable[str], env_tags: Iterable[str]) -> Choice:
    """The first rule that matches the account's tags and the environment's decides; where none does, it is left out."""
    present = frozenset(tags) | frozenset(env_tags)
    for number, rule in enumerate(rules):
        if rule.matches(present):
            return Choice(rule.include, number)
    return Choice(included=False, rule=None)


EVERYTHING = (TagRule(frozenset(), frozenset(), frozenset(), include=True),)
