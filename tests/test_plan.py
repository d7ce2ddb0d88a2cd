"""The plan: every value given is counted once."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.run.plan import plan


def test_each_value_ends_in_one_place() -> None:
    chunks = [pa.array(["a", "", "b", "a"]), pa.array(["c", "bad\x07", "d", "", "b"])]
    planned = plan(chunks, pa.chunked_array([pa.array(["c", "elsewhere"])]), limit=2)
    assert planned.task_ids.to_pylist() == ["a", "b"]
    counts = (planned.given, planned.blank, planned.duplicate, planned.invalid)
    assert counts == (9, 2, 2, 1)
    assert (planned.already_terminal, planned.over_limit) == (1, 1)
    (reason,) = planned.invalid_examples
    assert "control" in reason


values = st.lists(st.sampled_from(["", "a", "b", "c", "d", "x\n", "e" * 300]), min_size=1)


@settings(deadline=None)
@given(
    st.lists(values, min_size=1), st.sets(st.sampled_from("abcd")), st.none() | st.integers(0, 5)
)
def test_the_equation_holds(chunks: list[list[str]], known: set[str], limit: int | None) -> None:
    arrays = [pa.array(["always", *chunk], pa.string()) for chunk in chunks]
    planned = plan(arrays, pa.chunked_array([pa.array(sorted(known), pa.string())]), limit)
    dropped = planned.blank + planned.duplicate + planned.invalid + planned.already_terminal
    asked = planned.task_ids.to_pylist()
    assert planned.given == dropped + planned.over_limit + len(asked)
    assert len(set(asked)) == len(asked)
    assert not set(asked) & known


@settings(deadline=None)
@given(
    st.lists(values, min_size=1),
    st.lists(st.sampled_from("abcd"), max_size=9),
    st.sets(st.sampled_from("abcd")),
    st.booleans(),
)
def test_a_list_in_portions_is_planned_as_a_whole(
    chunks: list[list[str]], known: list[str], gone: set[str], is_long: bool
) -> None:
    """Be a known task ID twice among the known ones, in one portion or in several."""
    arrays = [pa.array(chunk, pa.string()) for chunk in chunks]
    settled = pa.chunked_array([pa.array(known, pa.string())])
    given_up = pa.chunked_array([pa.array(known[::2], pa.string())])

    def is_gone(task_ids: pa.Array) -> pa.Array:
        return pa.array([one in gone for one in task_ids.to_pylist()], pa.bool_())

    with pytest.MonkeyPatch.context() as patch:
        if is_long:
            patch.setattr("connector.run.plan.FRESH_BYTES", 0)
        planned = plan(arrays, settled, None, given_up, is_gone)
    valid = dict.fromkeys(one for chunk in chunks for one in chunk if one in set("abcd"))
    wanted = [one for one in valid if one not in gone]
    assert planned.task_ids.to_pylist() == [one for one in wanted if one not in known]
    assert planned.already_terminal == len(set(wanted) & set(known))
    assert planned.given_up_before == len(set(wanted) & set(known[::2]))
    assert planned.forgotten == len(set(valid) & gone)
