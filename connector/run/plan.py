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

# Task IDs that gather before they are looked up, and the repeated ones among them dropped.
FRESH_BYTES = 64 * 1024 * 1024

# If there are this many known task IDs for each given one, the given ones are hashed.
FEW = 4


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
    given = blank = already_terminal = given_up_before = 0
    invalid, examples = 0, list[str]()
    met, met_given_up = _Met(settled), _Met(given_up)
    # Beside millions of known ones there is less memory left.
    is_tight = settled is not None and settled.nbytes > FRESH_BYTES
    portion_bytes = FRESH_BYTES // 2 if is_tight else FRESH_BYTES
    forgotten = list[pa.StringArray]()

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

    def unsettled() -> Iterator[pa.StringArray]:
        nonlocal already_terminal, given_up_before
        for portion, is_only in _portions(valid(), portion_bytes):
            wanted = portion
            if is_forgotten is not None:
                is_gone = is_forgotten(portion)
                forgotten.append(portion.filter(is_gone))
                wanted = portion.filter(pc.invert(is_gone))
            given_up_before += met_given_up.meet(wanted, is_only=is_only)[1]
            is_settled, count = met.meet(wanted, is_only=is_only)
            already_terminal += count
            yield wanted.filter(pc.invert(is_settled))

    open_ones = _distinct(unsettled())
    asked = open_ones.slice(0, limit)
    if len(asked) < len(open_ones):
        asked = pa.concat_arrays([asked])  # a slice would keep the others in memory
    number_forgotten = len(pc.unique(pa.chunked_array(forgotten, pa.string())))
    distinct = len(open_ones) + already_terminal + number_forgotten
    return Plan(
        task_ids=asked,
        given=given,
        blank=blank,
        duplicate=given - blank - invalid - distinct,
        invalid=invalid,
        already_terminal=already_terminal,
        over_limit=len(open_ones) - len(asked),
        invalid_examples=tuple(examples),
        given_up_before=given_up_before,
        forgotten=number_forgotten,
    )


class _Met:
    """Known task IDs, and which of them were met in the list so far.

    A long list is looked up in portions, and what is hashed is a portion: a hash table of millions
    of known task IDs takes longer than the look-up of a short list, and more memory than the IDs.
    """

    def __init__(self, task_ids: pa.ChunkedArray | None) -> None:
        self._task_ids = pa.chunked_array([], pa.string()) if task_ids is None else task_ids
        self._is_met: pa.ChunkedArray | None = None

    def meet(self, portion: pa.StringArray, *, is_only: bool) -> tuple[pa.BooleanArray, int]:
        """Look up distinct task IDs.

        Args:
            portion: The task IDs.
            is_only: Whether they are the whole list.

        Returns:
            Whether each is known, and how many of the known ones were not met before.
        """
        if is_only and len(self._task_ids) < FEW * len(portion):
            is_known = pc.is_in(portion, self._task_ids)
            return is_known, is_known.true_count
        is_here = pc.is_in(self._task_ids, portion)
        is_known = pc.is_in(portion, self._task_ids.filter(is_here))
        if self._is_met is None:
            self._is_met = is_here
            return is_known, is_known.true_count
        is_new = pc.and_not(is_here, self._is_met)
        self._is_met = pc.or_(self._is_met, is_here)
        return is_known, pc.is_in(portion, self._task_ids.filter(is_new)).true_count


def _portions(chunks: Iterable[pa.StringArray], size: int) -> Iterator[tuple[pa.StringArray, bool]]:
    """Chunks of about this many bytes without a repeated ID, and whether there is only one."""
    held, fresh, is_only = list[pa.StringArray](), 0, True
    for chunk in chunks:
        held.append(chunk)
        fresh += chunk.nbytes
        if fresh > size:
            is_only = False
            yield pc.unique(pa.chunked_array(held)), False
            held, fresh = [], 0
    yield pc.unique(pa.chunked_array(held, pa.string())), is_only


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
