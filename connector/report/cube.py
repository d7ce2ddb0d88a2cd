"""Precomputed counts for every choice of filters: the page only adds them up.

A cell counts the generations of one period, model, status, value of `--by` and value of a
dimension. Cells without any are left out. There are at most 6 periods x 14 models x 5 statuses x
10 values of `--by`, times the values of all dimensions (about 600 with days, weeks and months);
and never more than dimensions x generations. A million generations of four models, with three
statuses, make about 20,000 cells, 0.3 MB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from connector.record.schema import STATUSES
from connector.report.facts import UNDATED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from connector.report.facts import Facts

    Ints = NDArray[np.int64]


def count_cells(facts: Facts) -> dict[str, Any]:
    """All cells: for each dimension three lists, of the filters' number, the value, the count."""
    models = max(len(facts.dimensions["model"].values), 1)
    by = facts.dimensions.get("by")
    by_codes = by.codes if by else np.zeros(facts.total, np.int16)
    values = max(len(by.values), 1) if by else 1
    key: Ints = facts.age.astype(np.int64)
    for codes, size in (
        (facts.dimensions["model"].codes, models),
        (facts.status, len(STATUSES)),
        (by_codes, values),
    ):
        key = key * size + codes.astype(np.int64)
    cells = {"all": _cells(key, np.zeros_like(key))}
    for name, dimension in facts.dimensions.items():
        values_of: Ints = dimension.codes.astype(np.int64)
        if name != "term":
            cells[name] = _cells(key[values_of >= 0], values_of[values_of >= 0])
            continue
        held = [np.flatnonzero(values_of >> bit & 1) for bit in range(len(dimension.values))]
        numbers = np.repeat(np.arange(len(held)), [len(rows) for rows in held])
        rows = np.concatenate([np.empty(0, np.int64), *held])
        cells[name] = _cells(key[rows], numbers.astype(np.int64))
    sizes = {"ages": UNDATED + 1, "models": models, "statuses": len(STATUSES), "by": values}
    return {"sizes": sizes, "cells": cells}


def _cells(key: Ints, value: Ints) -> list[list[int]]:
    width = int(value.max(initial=0)) + 1
    both, counts = np.unique(key * width + value, return_counts=True)
    return [(both // width).tolist(), (both % width).tolist(), counts.tolist()]
