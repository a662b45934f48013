"""Which worker has fewer connections: first the active ones count, then all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.web.connection_counts import ConnectionCounts, Connections

_COUNTS = st.builds(lambda active, idle: Connections(active, active + idle), st.integers(0, 5000), st.integers(0, 5000))


@given(_COUNTS, _COUNTS)
def test_of_two_workers_at_most_one_has_fewer(one: Connections, other: Connections) -> None:
    assert not (one.has_fewer_than(other) and other.has_fewer_than(one))


@pytest.mark.parametrize(
    ("one", "other", "is_fewer"),
    [
        (Connections(15, 1015), Connections(16, 16), True),
        (Connections(16, 16), Connections(15, 1015), False),
        (Connections(16, 16), Connections(16, 17), True),
        (Connections(16, 16), Connections(16, 16), False),
        (Connections(1000, 1000), Connections(1031, 1031), False),  # by 1/32
        (Connections(1000, 1000), Connections(1034, 1034), True),
    ],
)
def test_active_connections_count_first(one: Connections, other: Connections, is_fewer: bool) -> None:
    assert one.has_fewer_than(other) == is_fewer


@given(st.dictionaries(st.integers(1, 250), _COUNTS, min_size=1, max_size=20))
def test_what_workers_publish_is_what_others_compare_with(published: dict[int, Connections]) -> None:
    counts = ConnectionCounts()
    for worker, connections in published.items():
        counts.publish(worker, connections)
    assert counts.mean_active() == sum(one.active for one in published.values()) / len(published)
    for worker, own in published.items():
        others = [one for number, one in published.items() if number != worker]
        assert counts.others_have_fewer(worker, own) == any(one.has_fewer_than(own) for one in others)
        counts.remove(worker)
        assert not counts.others_have_fewer(251, Connections(0, 0))
        counts.publish(worker, own)
