"""Everything the report shows, read from the tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connector.marts.turnaround import READ, Turnaround, turnaround
from connector.report.counts import Counts, Outcomes, count_generations, outcomes_of
from connector.report.prompts import Prompts, top_prompts
from connector.report.tables import Tables

if TYPE_CHECKING:
    from datetime import datetime

    import pyarrow as pa

    from connector.storage.storage import Address

RUNS: Final = 20


class Format(NamedTuple):
    """An aspect ratio of videos."""

    aspect_ratio: str | None
    orientation: str | None
    uses: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a warehouse holds.

    Attributes:
        warehouse: Name of the folder.
        made_at: When the report was made.
        size: Bytes on disk, the log of answers included.
        sizes: Outcomes by width × height, most first.
        formats: Generations by aspect ratio, most first.
        rejects: Task IDs by reason and by whether it is final, most first.
        runs: The latest rows of `runs`, newest first.
    """

    warehouse: str
    made_at: datetime
    size: int = 0
    counts: Counts = field(default_factory=Counts)
    sizes: list[Outcomes] = field(default_factory=list)
    formats: list[Format] = field(default_factory=list)
    turnaround: Turnaround = field(default_factory=Turnaround)
    prompts: Prompts = field(default_factory=Prompts)
    rejects: dict[tuple[str, bool], int] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)


def read_figures(address: Address, now: datetime) -> Figures:
    """Read a warehouse in bounded memory: about 150 MB for 1,000,000 generations.

    Raises:
        WarehouseError: The warehouse does not exist or cannot be read.
    """
    tables = Tables(address)
    resolutions = tables.resolutions()
    return Figures(
        warehouse=tables.name,
        made_at=now,
        size=tables.bytes_on_disk(),
        counts=count_generations(tables),
        sizes=_sizes(resolutions),
        formats=_formats(resolutions),
        turnaround=turnaround(tables.timings(READ)),
        prompts=top_prompts(tables),
        rejects=_rejects(tables),
        runs=tables.last_runs(RUNS),
    )


def _sizes(resolutions: pa.Table) -> list[Outcomes]:
    return sorted(
        outcomes_of(resolutions.to_pylist(), "label"), key=lambda one: (-one.total, one.name)
    )


def _formats(resolutions: pa.Table) -> list[Format]:
    uses: Counter[tuple[str | None, str | None]] = Counter()
    for row in resolutions.select(["aspect_ratio", "orientation", "uses"]).to_pylist():
        uses[row["aspect_ratio"], row["orientation"]] += row["uses"]
    return [Format(*shape, count) for shape, count in uses.most_common()]


def _rejects(tables: Tables) -> dict[tuple[str, bool], int]:
    reasons: Counter[tuple[str, bool]] = Counter()
    for piece in tables.rejects(("reason", "is_final")):
        columns = (piece[name].to_pylist() for name in ("reason", "is_final"))
        reasons.update(zip(*columns, strict=True))
    return dict(reasons.most_common())
