from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curate.generation.common.derived_rows import all_licenses
from outputs.licensing.licenses import load_licenses

BOOK = load_licenses()


@pytest.mark.parametrize(
    ("given_", "result"),
    [
        (["MIT", "MIT"], "MIT"),
        (["MIT AND CC0-1.0", "CC0-1.0"], "MIT AND CC0-1.0"),
        (["CC-BY-4.0 AND MIT", "MIT"], "CC-BY-4.0 AND MIT"),
        (["MIT OR GPL-2.0-only"] * 2, "MIT OR GPL-2.0-only"),
        (["MIT OR GPL-2.0-only", "CC-BY-NC-4.0"], "(MIT OR GPL-2.0-only) AND CC-BY-NC-4.0"),
        (["(MIT OR GPL-2.0-only) AND CC-BY-NC-4.0", "unknown"], "(MIT OR GPL-2.0-only) AND CC-BY-NC-4.0 AND unknown"),
        (["(A OR B)", "(A OR B) AND C"], "(A OR B) AND C"),
    ],
)
def test_all_that_each_part_asks_for_is_asked_for(given_: list[str], result: str) -> None:
    assert all_licenses(*given_) == result


_ATOM = st.sampled_from(["MIT", "Apache-2.0", "CC-BY-4.0", "GPL-2.0-only", "unknown"])
_EXPRESSION = st.recursive(
    _ATOM,
    lambda inner: st.tuples(inner, st.sampled_from([" AND ", " OR "]), inner).map(
        lambda parts: f"({parts[0]}{parts[1]}{parts[2]})"
    ),
    max_leaves=5,
).map(lambda text: text[1:-1] if text.startswith("(") else text)


@given(st.lists(_EXPRESSION, min_size=1, max_size=3))
def test_nobody_gets_out_of_a_licence_by_a_choice_in_another(expressions: list[str]) -> None:
    def ways(text: str) -> set[frozenset[str]]:
        return {frozenset(one.id for one in way) for way in BOOK.alternatives(text)}

    def least(all_ways: set[frozenset[str]]) -> set[frozenset[str]]:
        return {one for one in all_ways if not any(other < one for other in all_ways)}

    wanted = {frozenset().union(*some) for some in itertools.product(*(ways(one) for one in expressions))}
    if len(wanted) < 20:
        assert least(ways(all_licenses(*expressions))) == least(wanted)
