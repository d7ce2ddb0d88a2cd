"""Everything the report shows, read from the tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from connector.record.schema import GENERATIONS
from connector.report.chosen import Chosen
from connector.report.cube import count_cells
from connector.report.facts import read_facts
from connector.report.prompts import Prompts, top_prompts
from connector.report.spans import estimate_spans
from connector.report.tables import Tables
from connector.report.tasks import EACH, read_tasks
from connector.warehouse.highlights import Highlights, highlights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from connector.report.facts import Facts
    from connector.storage.storage import Address

RUNS: Final = 12


@dataclass(frozen=True, slots=True)
class Figures:
    """What a warehouse holds.

    Attributes:
        warehouse: Name of the folder.
        made_at: When the report was made.
        by: Name of the further dimension; None without one.
        rejects: Task IDs by reason and by whether it is final, most first.
        rejected: The first task IDs of each, with the time of the last answer.
        runs: The latest rows of `runs`, newest first.
    """

    warehouse: str
    made_at: datetime
    by: str | None
    facts: Facts
    cube: dict[str, Any]
    spans: dict[str, Any]
    tasks: dict[str, Any]
    chosen: Chosen
    highlights: Highlights
    prompts: Prompts
    rejects: dict[tuple[str, bool], int]
    rejected: dict[tuple[str, bool], list[tuple[str, str]]]
    runs: list[dict[str, Any]]


def read_figures(
    address: Address,
    now: datetime,
    *,
    by: str | None = None,
    values: Mapping[str, Any] | None = None,
    has_thumbnails: bool = False,
) -> Figures:
    """Read a warehouse; see `page.write_report` for the arguments.

    Raises:
        WarehouseError: The warehouse does not exist or cannot be read.
        UsageError: There is nothing of the name `by`.
    """
    tables = Tables(address)
    cut: pa.Table | str | None = by
    if values is not None:
        texts = [None if value is None else str(value) for value in values.values()]
        columns = (pa.array(values, pa.string()), pa.array(texts, pa.string()))
        cut = pa.table(dict(zip(("task_id", "value"), columns, strict=True)))
    elif by is not None and by not in GENERATIONS.schema.names:
        cut = tables.kept(by)
    prompts = top_prompts(tables)
    chosen = Chosen(tables.marts, prompts)
    facts = read_facts(tables, chosen, cut)
    rejects, rejected = _rejects(tables)
    return Figures(
        warehouse=tables.name,
        made_at=now,
        by=by,
        facts=facts,
        cube=count_cells(facts),
        spans=estimate_spans(facts),
        tasks=read_tasks(tables, facts, now, has_thumbnails=has_thumbnails),
        chosen=chosen,
        highlights=highlights(tables.marts),
        prompts=prompts,
        rejects=rejects,
        rejected=rejected,
        runs=tables.last_runs(RUNS),
    )


def _rejects(tables: Tables) -> tuple[dict[tuple[str, bool], int], dict[Any, Any]]:
    reasons: Counter[tuple[str, bool]] = Counter()
    first: dict[tuple[str, bool], list[tuple[str, str]]] = {}
    for piece in tables.rejects(("reason", "is_final", "task_id", "fetched_at")):
        for row in piece.to_pylist():
            key = row["reason"], row["is_final"]
            reasons[key] += 1
            if reasons[key] <= EACH:
                at = row["fetched_at"]
                first.setdefault(key, []).append((row["task_id"], f"{at:%Y-%m-%d %H:%M}"))
    return dict(reasons.most_common()), first
