"""Tag rules: the first rule that matches decides."""

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.bookies.tag_rules import INCLUDE_ALL, Choice, TagRule, choose

tags = st.frozensets(st.sampled_from("abcd"), max_size=3)
rules = st.lists(st.builds(TagRule, any=tags, all=tags, none=tags, include=st.booleans()), max_size=5)


def rule(*, any_: str = "", all_: str = "", none: str = "", include: bool = True) -> TagRule:
    return TagRule(frozenset(any_), frozenset(all_), frozenset(none), include)


def test_any_all_and_none() -> None:
    assert rule(any_="ab").matches(frozenset("bc"))
    assert not rule(any_="ab").matches(frozenset("c"))
    assert rule(all_="ab").matches(frozenset("abc"))
    assert not rule(all_="ab").matches(frozenset("b"))
    assert rule(none="ab").matches(frozenset("c"))
    assert not rule(none="ab").matches(frozenset("bc"))
    assert rule().matches(frozenset())


def test_the_first_matching_rule_decides() -> None:
    exclude, include = rule(any_="a", include=False), rule(any_="a")
    assert choose([exclude, include], "a", ()) == Choice(included=False, rule=0)
    assert choose([include, exclude], "a", ()) == Choice(included=True, rule=0)
    assert choose([exclude, *INCLUDE_ALL], "b", ()) == Choice(included=True, rule=1)
    assert choose([include], "b", ()) == Choice(included=False, rule=None)


def test_tags_of_the_environment_count_like_those_of_the_account() -> None:
    assert choose([rule(all_="ap")], "a", "p") == Choice(included=True, rule=0)
    assert choose([rule(none="p")], "a", "p") == Choice(included=False, rule=None)


@given(rules, tags, tags)
def test_the_deciding_rule_matches_and_no_rule_before_it(candidates: list[TagRule], own: str, env: str) -> None:
    choice = choose(candidates, own, env)
    present = frozenset(own) | frozenset(env)
    before = candidates[: len(candidates) if choice.rule is None else choice.rule]
    assert not any(one.matches(present) for one in before)
    if choice.rule is not None:
        assert candidates[choice.rule].matches(present)
        assert choice.included == candidates[choice.rule].include
    assert choose([*candidates, *INCLUDE_ALL], own, env).included == (choice.included or choice.rule is None)
