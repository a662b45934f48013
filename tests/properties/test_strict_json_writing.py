"""What the strict parser read is written again as it was sent."""

import json

from hypothesis import given
from hypothesis import strategies as st

from wallet_hooks.web.strict_json import read_json, write_json

_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
_DOCUMENTS = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


@given(_DOCUMENTS)
def test_a_document_is_written_with_the_same_characters(document: object) -> None:
    text = json.dumps(document, separators=(",", ":"))
    assert write_json(read_json(text.encode())) == text
