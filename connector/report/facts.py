"""One pass over `generations`: each as small numbers, from which all counts and lists come.

A dimension is something that charts are cut by: a model, a reason, a day. Its most frequent values
get a number each, and all others share one. About 60 bytes a generation are held.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connector.marts.curves import INTERVALS, intervals
from connector.marts.timings import MADE_FROM, timings
from connector.record.mart_schema import BASES
from connector.record.order import of_set_clock
from connector.record.pieces import grouped
from connector.record.schema import FAILURE_CATEGORIES, STATUSES
from connector.warehouse.highlights import created_day

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from connector.report.chosen import Chosen
    from connector.report.tables import Tables

    Codes = NDArray[np.int16]
    Ints = NDArray[np.int64]

READ: Final = (
    *MADE_FROM,
    "failure_category",
    "failure_reason",
    "aspect_ratio",
    "video_width",
    "video_height",
    "requested_resolution",
    "requested_aspect_ratio",
    "video_duration_seconds",
    "duration_seconds",
    "prompt_characters",
    "prompt_id",
)

BINS: Final = ("hour", "start", "end", "signed", "generations", "exact")

NONE: Final = -1
# What is too rare for a number of its own.
OTHERS: Final = "others"
# Where nothing is known there is nothing to count.
KNOWN_ONLY: Final = ("reason", "asked", "delivered", "requested")
MODELS, VALUES, BY_VALUES = 12, 12, 8

# Read at once: to prepare the look-up of prompts takes as long for few rows as for many.
GROUP_ROWS: Final = 32_768

REASON_CHARACTERS: Final = 200
LONGEST_SECONDS: Final = 1e9

# Upper bounds of the prompt length classes, in characters; the last class has none.
LENGTHS: Final = (0, 50, 100, 200, 400, 800)

# Ends of the periods, in days before the newest generation; then older ones, and undated ones.
AGES: Final = (7, 30, 90, 365)
UNDATED: Final = len(AGES) + 1
DAYS, WEEKS, MONTHS = 91, 53, 240

# Waiting and working times are counted in steps of 5%.
STAGE_STEP: Final = 1.05
STAGES: Final = ("queue_seconds", "work_seconds")


@dataclass(slots=True)
class Dimension:
    """What charts are cut by.

    Attributes:
        values: Name of each number; None if it is not known.
        codes: For each generation its number; `NONE` where it has none. Of terms, bits.
    """

    values: list[Any]
    codes: NDArray[Any]


@dataclass(slots=True)
class Facts:
    """All generations, in the order of their files.

    Attributes:
        created: Microseconds since 1970; the least number if it is not known.
        newest: The latest day of creation; None if none is known.
        oldest: The earliest.
        status: Index into `STATUSES`.
        intervals: What is known of each turnaround, as bins, with `age`, `model` and `status`.
    """

    created: Ints
    newest: datetime | None
    oldest: datetime | None
    status: Codes
    age: Codes
    dimensions: dict[str, Dimension]
    intervals: pa.Table = field(repr=False)

    @property
    def total(self) -> int:
        """All generations."""
        return len(self.status)


class _Names:
    """Numbers texts as they come, and renumbers them by how frequent they are."""

    def __init__(self, *, has_unknown: bool) -> None:
        self._number: dict[Any, int] = {}
        self._has_unknown = has_unknown
        self._parts: list[NDArray[np.int32]] = []

    def add(self, values: pa.ChunkedArray) -> None:
        """Number the values of a piece; null is one of them."""
        encoded = values.combine_chunks().dictionary_encode("encode")
        own = [
            self._number.setdefault(v, len(self._number)) for v in encoded.dictionary.to_pylist()
        ]
        self._parts.append(np.array(own, np.int32)[np.asarray(encoded.indices)])

    def dimension(self, most: int) -> Dimension:
        """The most frequent ones; the rest become `OTHERS`."""
        codes = np.concatenate([np.empty(0, np.int32), *self._parts])
        counts = np.bincount(codes, minlength=len(self._number))
        names = list(self._number)
        numbers = [n for n, name in enumerate(names) if self._has_unknown or name is not None]
        rank = sorted(numbers, key=lambda n: (-counts[n], str(names[n])))
        kept = rank[:most] if len(rank) > most + 1 else rank
        new = np.full(len(names), NONE, np.int16)
        new[rank] = len(kept)
        new[kept] = np.arange(len(kept))
        values = [names[n] for n in kept] + ([OTHERS] if len(kept) < len(rank) else [])
        return Dimension(values, new[codes] if names else codes.astype(np.int16))


def read_facts(tables: Tables, chosen: Chosen, by: pa.Table | str | None = None) -> Facts:
    """Read all generations.

    Args:
        tables: The warehouse's.
        chosen: Prompts, families and terms that are worth a number.
        by: One more dimension: a column of `generations`, or `task_id` with `value`.
    """
    names: dict[str, _Names] = {}
    parts: dict[str, list[NDArray[Any]]] = {}
    found: list[pa.Table] = []
    columns = tuple(dict.fromkeys([*READ, *([by] if isinstance(by, str) else [])]))
    for group in grouped(tables.generations(columns), rows=GROUP_ROWS):
        piece = group.combine_chunks()
        for name, values in _named(piece, by).items():
            has_unknown = name not in KNOWN_ONLY
            names.setdefault(name, _Names(has_unknown=has_unknown)).add(values)
        timed = timings(piece)
        found.append(intervals(timed).select(BINS))
        for name, codes in (_coded(piece) | _timed(timed) | chosen.codes(piece)).items():
            parts.setdefault(name, []).append(codes)
    joined = {name: np.concatenate(codes) for name, codes in parts.items()}
    nothing = INTERVALS.empty_table().select(BINS)
    return _facts(names, joined, pa.concat_tables([nothing, *found]), chosen)


def _facts(
    names: Mapping[str, _Names],
    codes: Mapping[str, NDArray[Any]],
    known: pa.Table,
    chosen: Chosen,
) -> Facts:
    nothing = np.empty(0, np.int64)
    created, day = codes.get("created", nothing), codes.get("day", nothing)
    dated = day[day >= 0]
    newest, oldest = (int(dated.max()), int(dated.min())) if len(dated) else (0, 0)
    before = np.where(day >= 0, newest - day, -1)
    dimensions = {
        name: one.dimension({"model": MODELS, "by": BY_VALUES}.get(name, VALUES))
        for name, one in names.items()
    }
    fixed: dict[str, list[Any]] = {
        "category": [*FAILURE_CATEGORIES, None],
        "length": list(range(len(LENGTHS) + 1)),
        "basis": list(BASES),
        "hour": list(range(24)),
        "queue": [],
        "work": [],
        **chosen.values(),
    }
    for name, values in fixed.items():
        dimensions[name] = Dimension(values, codes.get(name, nothing).astype(np.int16))
    months = _months(day)
    spans = {
        "day": (before, DAYS),
        "week": (np.where(before >= 0, before // 7, -1), WEEKS),
        "month": (np.where(day >= 0, months.max(initial=0) - months, -1), MONTHS),
    }
    for name, (span, most) in spans.items():
        dimensions[name] = Dimension([], np.where(span < most, span, NONE).astype(np.int16))
    age = np.searchsorted(AGES, before + 1).astype(np.int16)
    age[before < 0] = UNDATED
    status = codes.get("status", nothing).astype(np.int16)
    model = dimensions.setdefault("model", Dimension([], nothing.astype(np.int16)))
    at = codes.get("timed", nothing).astype(bool)
    cut = {"age": age[at], "model_code": model.codes[at], "status": status[at]}
    for name, values in cut.items():
        known = known.append_column(name, pa.array(values.astype(np.int64)))
    return Facts(
        created,
        _moment(newest) if len(dated) else None,
        _moment(oldest) if len(dated) else None,
        status,
        age,
        dimensions,
        known,
    )


def _moment(day: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _months(days: Ints) -> Ints:
    return np.maximum(days, 0).astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _named(piece: pa.Table, by: pa.Table | str | None) -> dict[str, pa.ChunkedArray]:
    """Texts, of which the most frequent count singly."""
    failed, no_text = pc.equal(piece["status"], "failed"), pa.scalar(None, pa.string())
    # A model from the storage path is another thing than a requested one: it never fails.
    mark = pc.if_else(pc.equal(piece["model_source"], "storage"), "storage", "requested")
    found = {
        "model": pc.binary_join_element_wise(pc.fill_null(mark, "requested"), piece["model"], "\t"),
        "reason": pc.if_else(failed, pc.fill_null(_reason(piece["failure_reason"]), ""), no_text),
        "size": _size(piece),
        "asked": piece["requested_resolution"],
        "format": piece["aspect_ratio"],
        "delivered": _whole(piece["video_duration_seconds"]),
        "requested": _whole(piece["duration_seconds"]),
    }
    if isinstance(by, str):
        values = piece[by]
        is_text = pa.types.is_string(values.type)
        found["by"] = values if is_text else values.cast(pa.string())
    elif by is not None:
        at = pc.index_in(piece["task_id"], by["task_id"].combine_chunks())
        found["by"] = by["value"].combine_chunks().take(at).cast(pa.string())
    return found


def _reason(text: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(text), 0, REASON_CHARACTERS)


def _size(piece: pa.Table) -> pa.ChunkedArray:
    """Names as in the table `resolutions`."""
    width, height = piece["video_width"], piece["video_height"]
    is_size = pc.fill_null(pc.and_(pc.greater(width, 0), pc.greater(height, 0)), False)
    size = _joined(width.cast(pa.string()), height.cast(pa.string()), " × ")
    asked = pc.utf8_trim_whitespace(_joined(piece["resolution"], piece["aspect_ratio"], " "))
    requested = pc.binary_join_element_wise(asked, pa.scalar("(requested)"), " ")
    named = pc.if_else(pc.equal(asked, ""), pa.scalar("unknown"), requested)
    return pc.if_else(is_size, size, named)


def _joined(one: pa.ChunkedArray, other: pa.ChunkedArray, between: str) -> pa.ChunkedArray:
    return pc.binary_join_element_wise(pc.fill_null(one, ""), pc.fill_null(other, ""), between)


def _whole(seconds: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole seconds; some gateways write zero for an unknown length."""
    known = pc.min_element_wise(seconds, LONGEST_SECONDS)
    nothing = pa.scalar(None, pa.float64())
    whole = pc.round(pc.if_else(pc.greater(seconds, 0), known, nothing))
    return whole.cast(pa.int64()).cast(pa.string())


def _coded(piece: pa.Table) -> dict[str, NDArray[Any]]:
    created = piece["created_at"].cast(pa.int64())
    day = created_day(piece["created_at"]).cast(pa.int32())
    failed = pc.equal(piece["status"], "failed").to_numpy()
    categories = [*FAILURE_CATEGORIES]
    category = _index(piece["failure_category"], categories, len(categories))
    characters = pc.fill_null(piece["prompt_characters"], 0).to_numpy()
    return {
        "created": created.fill_null(np.iinfo(np.int64).min).to_numpy(),
        "day": day.fill_null(-1).to_numpy().astype(np.int64),
        "status": _index(piece["status"], list(STATUSES), STATUSES.index("unknown")),
        "category": np.where(failed, category, NONE),
        "length": np.searchsorted(LENGTHS, characters),
        "hour": pc.hour(of_set_clock(piece["created_at"])).fill_null(NONE).to_numpy(),
    }


def _timed(timed: pa.Table) -> dict[str, NDArray[Any]]:
    is_timed = pc.and_not(
        pc.is_valid(timed["created_at"]),
        pc.is_in(timed["basis"], pa.array(["undated", "contradictory"])),
    )
    stages = {
        name.partition("_")[0]: _stage(timed[name].fill_null(NONE).to_numpy()) for name in STAGES
    }
    return {"basis": _index(timed["basis"], list(BASES), 0), "timed": is_timed.to_numpy(), **stages}


def _stage(seconds: NDArray[np.float64]) -> NDArray[Any]:
    """Steps of 5% from a tenth of a second on."""
    steps = np.log(np.maximum(seconds, 0.1) / 0.1) / np.log(STAGE_STEP)
    return np.where(seconds < 0, NONE, np.minimum(np.rint(steps), 1000))


def _index(values: pa.ChunkedArray, known: list[str], other: int) -> NDArray[Any]:
    found: NDArray[Any] = pc.index_in(values, pa.array(known)).fill_null(other).to_numpy()
    return found
