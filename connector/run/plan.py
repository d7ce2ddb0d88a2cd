"""The plan: which of the given task IDs to request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from connector.task_ids import valid_mask, why_invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

EXAMPLES = 5

# Task IDs that gather before the repeated ones among them are dropped.
FRESH_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """What was given, and which task IDs to request.

    Attributes:
        task_ids: IDs to request, in the order given, each once.
        given_up_before: Those of `already_terminal` that are given up.
        given: blank + duplicate + invalid + forgotten + already_terminal + over_limit
            + len(task_ids).
        invalid_examples: A few of the invalid ones, with the reason.
    """

    task_ids: pa.StringArray | pa.ChunkedArray
    given: int
    blank: int
    duplicate: int
    invalid: int
    already_terminal: int
    over_limit: int
    invalid_examples: tuple[str, ...] = ()
    given_up_before: int = 0
    forgotten: int = 0

    def __add__(self, other: Plan) -> Plan:
        """Return both plans as one; no task ID may be in both."""
        chunks = [*_chunks(self.task_ids), *_chunks(other.task_ids)]
        return Plan(
            pa.chunked_array(chunks, pa.string()),
            self.given + other.given,
            self.blank + other.blank,
            self.duplicate + other.duplicate,
            self.invalid + other.invalid,
            self.already_terminal + other.already_terminal,
            self.over_limit + other.over_limit,
            (*self.invalid_examples, *other.invalid_examples)[:EXAMPLES],
            self.given_up_before + other.given_up_before,
            self.forgotten + other.forgotten,
        )


def _chunks(task_ids: pa.StringArray | pa.ChunkedArray) -> list[pa.StringArray]:
    chunks = task_ids.chunks if isinstance(task_ids, pa.ChunkedArray) else [task_ids]
    return [chunk for chunk in chunks if len(chunk)]


NOTHING = Plan(pa.array([], pa.string()), 0, 0, 0, 0, 0, 0)


def plan(
    values: Iterable[pa.StringArray],
    settled: pa.ChunkedArray | None,
    limit: int | None = None,
    given_up: pa.ChunkedArray | None = None,
    is_forgotten: Callable[[pa.Array], pa.Array] | None = None,
) -> Plan:
    """Plan a run: drop blank, duplicate, invalid, forgotten and settled task IDs.

    Args:
        values: Given values in chunks, as `task_ids.read` yields them.
        settled: Task IDs that need no request; None if there are none.
        limit: Most task IDs to request; None for all.
        given_up: Those of `settled` that are given up; None if there are none.
        is_forgotten: Tells which task IDs must never be requested again; None for none.
    """
    given = blank = 0
    invalid, examples = 0, list[str]()

    def valid() -> Iterator[pa.StringArray]:
        nonlocal given, blank, invalid
        for chunk in values:
            present = chunk.filter(pc.not_equal(chunk, ""))
            given, blank = given + len(chunk), blank + len(chunk) - len(present)
            is_valid = valid_mask(present)
            refused = present.filter(pc.invert(is_valid))
            invalid += len(refused)
            examples.extend(map(why_invalid, refused[: EXAMPLES - len(examples)].to_pylist()))
            yield present.filter(is_valid)

    distinct = _distinct(valid())
    wanted = distinct.filter(pc.invert(is_forgotten(distinct))) if is_forgotten else distinct
    open_ones = wanted
    if settled is not None:
        open_ones = wanted.filter(pc.invert(pc.is_in(wanted, settled)))
    asked = open_ones.slice(0, limit)
    if len(asked) < len(open_ones):
        asked = pa.concat_arrays([asked])  # a slice would keep the others in memory
    return Plan(
        task_ids=asked,
        given=given,
        blank=blank,
        duplicate=given - blank - invalid - len(distinct),
        invalid=invalid,
        already_terminal=len(wanted) - len(open_ones),
        over_limit=len(open_ones) - len(asked),
        invalid_examples=tuple(examples),
        given_up_before=_number_in(distinct, given_up),
        forgotten=len(distinct) - len(wanted),
    )


def _number_in(task_ids: pa.StringArray, others: pa.ChunkedArray | None) -> int:
    if others is None or not len(others):
        return 0
    return pc.sum(pc.is_in(task_ids, others)).as_py() or 0


def _distinct(chunks: Iterable[pa.StringArray]) -> pa.StringArray:
    """Each task ID once. Chunk by chunk, so that a list of a million IDs is held only once."""
    held, fresh = list[pa.StringArray](), 0
    known = 0
    for chunk in chunks:
        held.append(chunk)
        fresh += chunk.nbytes
        # Not before as much is fresh as is known: each is looked up a few times only.
        if fresh > max(FRESH_BYTES, known):
            held, fresh = [pc.unique(pa.chunked_array(held))], 0
            known = held[0].nbytes
    return pc.unique(pa.chunked_array(held, pa.string()))
