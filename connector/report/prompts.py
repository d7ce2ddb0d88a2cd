"""The prompts used most and failing most: the report shows these and counts the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.record.schema import PROMPTS

if TYPE_CHECKING:
    from connector.report.tables import Tables

MOST_USED, MOST_FAILING = 2_000, 200
# A prompt may have millions; this many are enough to recognize it.
TEXT_CHARACTERS: Final = 300

BY_USES: Final = [
    ("uses", "descending"),
    ("last_used_at", "descending"),
    ("prompt_id", "ascending"),
]
BY_FAILURES: Final = [("failed", "descending"), ("failure_share", "descending"), *BY_USES]


@dataclass(frozen=True, slots=True)
class Prompts:
    """The prompts that matter most.

    Attributes:
        distinct: Number of different prompts.
        most_used: Rows of `prompts`, most used first; texts cut to `TEXT_CHARACTERS` plus one.
        most_failing: The same by failures; only prompts that ever failed.
    """

    distinct: int = 0
    most_used: list[dict[str, Any]] = field(default_factory=list)
    most_failing: list[dict[str, Any]] = field(default_factory=list)


def top_prompts(tables: Tables) -> Prompts:
    """Choose them in one pass that holds only the chosen rows and one piece in memory."""
    distinct = 0
    used = failing = PROMPTS.schema.empty_table()
    for piece in tables.prompts():
        distinct += len(piece)
        rows = _cut(piece)
        used = _first(pa.concat_tables([used, rows]), BY_USES, MOST_USED)
        failed = rows.filter(pc.greater(rows["failed"], 0))
        failing = _first(pa.concat_tables([failing, failed]), BY_FAILURES, MOST_FAILING)
    return Prompts(distinct, used.to_pylist(), failing.to_pylist())


def _cut(rows: pa.Table) -> pa.Table:
    text = pc.utf8_slice_codeunits(rows["prompt"], 0, TEXT_CHARACTERS + 1)
    position = rows.schema.get_field_index("prompt")
    return rows.set_column(position, rows.schema.field(position), text)


def _first(rows: pa.Table, order: list[tuple[str, str]], count: int) -> pa.Table:
    return rows.take(pc.sort_indices(rows, sort_keys=order)[:count])
