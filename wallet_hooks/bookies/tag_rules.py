"""Choose accounts by their tags. Pure functions."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class TagRule(NamedTuple):
    """Matches tags that include one of `any` (unless it is empty), all of `all` and none of `none`."""

    any: frozenset[str]
    all: frozenset[str]
    none: frozenset[str]
    include: bool

    def matches(self, tags: frozenset[str]) -> bool:
        return (not self.any or bool(self.any & tags)) and self.all <= tags and not self.none & tags


class Choice(NamedTuple):
    """Whether an account is chosen, and the index of the rule that decided, from 0 (None: no rule matched)."""

    included: bool
    rule: int | None


def choose(rules: Sequence[TagRule], tags: Iterable[str], env_tags: Iterable[str]) -> Choice:
    """Choose by the first rule that matches the tags of account and environment. Without a match, exclude."""
    present = frozenset(tags) | frozenset(env_tags)
    for number, rule in enumerate(rules):
        if rule.matches(present):
            return Choice(rule.include, number)
    return Choice(included=False, rule=None)


INCLUDE_ALL = (TagRule(frozenset(), frozenset(), frozenset(), include=True),)
