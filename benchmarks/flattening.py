"""`rebuild` in one process, with all checks; then marts and report.

Each imports Arrow as the commands do, with their allocator: the default one takes more memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import child
from benchmarks.figure import Figure, at_least, at_most, reference
from connector.storage.arrow import import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP: Final = "Flatten: `rebuild` from the log of answers"
MARTS: Final = "Marts and report over many generations"


def measure_flattening(*, quick: bool) -> Iterator[Figure]:
    """Rows per second of one process, beside alternatives."""
    count = 40_000 if quick else 200_000
    with tempfile.TemporaryDirectory() as folder:
        root = f"{folder}/warehouse"
        child.call("benchmarks.world:build", root, count)
        rates = {
            name: child.call(f"benchmarks.flattening:{name}", root).result
            for name in ("normalize", "rebuild", "duckdb", "loads")
        }
    name = f"`rebuild` of {count:,} answers, committed"
    yield at_least(GROUP, name, rates["rebuild"], 30_000, "rows/s")
    yield reference(
        GROUP,
        "`pd.json_normalize` of the decoded bodies, nothing written",
        rates["normalize"],
        "rows/s",
    )
    yield reference(GROUP, "DuckDB's `read_json` to one Parquet file", rates["duckdb"], "rows/s")
    yield reference(GROUP, "`orjson.loads` alone", rates["loads"], "rows/s")
    # The target dates from a machine where json_normalize reached 31,000 rows/s.
    yield at_least(
        GROUP,
        "`rebuild` against `pd.json_normalize` alone",
        rates["rebuild"] / rates["normalize"],
        0.97,
    )


def rebuild(root: str) -> float:
    """Rows per second of a rebuild of all files."""
    import_pyarrow()
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  imports are not measured

    with Warehouse.writing(root) as warehouse:
        # Within, because a warehouse that is opened without its files is rebuilt at once.
        for path in Path(root, "generations").rglob("*.parquet"):
            path.unlink()
        # Marts have their own figure.
        warehouse.refresh_marts = lambda **_: None  # type: ignore[method-assign,assignment]
        started = time.perf_counter()
        done = warehouse.rebuild()
        return done.answers / (time.perf_counter() - started)


def normalize(root: str) -> float:
    """Rows per second of `pd.json_normalize`, without decoding."""
    import orjson  # noqa: PLC0415  as above
    import pandas as pd  # noqa: PLC0415

    return _rate(root, pd.json_normalize, lambda bodies: list(map(orjson.loads, bodies)))


def loads(root: str) -> float:
    """Documents per second of `orjson.loads`."""
    import orjson  # noqa: PLC0415  as above

    return _rate(root, lambda bodies: list(map(orjson.loads, bodies)))


def _rate(
    root: str,
    work: Callable[[list[Any]], object],
    prepare: Callable[[list[bytes]], list[Any]] = list,
) -> float:
    """Bodies per second of `work`, without the time that `prepare` takes."""
    seconds, rows = 0.0, 0
    for bodies in _bodies(root):
        given = prepare(bodies)
        started = time.perf_counter()
        work(given)
        seconds, rows = seconds + time.perf_counter() - started, rows + len(given)
    return rows / seconds


def duckdb(root: str) -> float:
    """Rows per second of DuckDB, from JSON lines to Parquet."""
    import duckdb as engine  # noqa: PLC0415  as above

    lines, rows = Path(root, "..", "bodies.jsonl"), 0
    with lines.open("wb") as file:
        for bodies in _bodies(root):
            rows += len(bodies)
            file.write(b"\n".join(bodies) + b"\n")
    target = lines.with_suffix(".parquet")
    with engine.connect() as connection:
        connection.sql("SET threads = 1")
        started = time.perf_counter()
        connection.sql(f"COPY (FROM read_json('{lines}')) TO '{target}' (COMPRESSION zstd)")
        return rows / (time.perf_counter() - started)


def _bodies(root: str) -> Iterator[list[bytes]]:
    import pyarrow.parquet as pq  # noqa: PLC0415  as above

    for path in sorted(Path(root, "answers").rglob("*.parquet")):
        yield pq.ParquetFile(path).read(["body"])["body"].to_pylist()


def marts(root: str) -> dict[str, Any]:
    """Make all marts; return the seconds."""
    import_pyarrow()
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  as above

    Path(root, "marts.json").unlink(missing_ok=True)
    with Warehouse.writing(root) as warehouse:
        started = time.perf_counter()
        warehouse.refresh_marts()
        return {"seconds": time.perf_counter() - started}


def report(root: str) -> dict[str, Any]:
    """Write the report; return seconds and bytes."""
    import_pyarrow()
    from connector.report import write_report  # noqa: PLC0415  as above

    started = time.perf_counter()
    page = write_report(root, Path(root, "..", "report.html"))
    return {"seconds": time.perf_counter() - started, "bytes": os.stat(page.path).st_size}  # noqa: PTH116


def measure_marts(root: str, count: int) -> Iterator[Figure]:
    """Marts and report of an existing warehouse."""
    made = child.call("benchmarks.flattening:marts", root)
    of = f"of {count:,} generations"
    yield at_most(MARTS, f"marts {of}: time", made.result["seconds"], 10, "s")
    yield at_most(MARTS, f"marts {of}: peak memory", made.peak_mib, 600, "MiB")
    page = child.call("benchmarks.flattening:report", root)
    yield at_most(MARTS, f"report {of}: size of the page", page.result["bytes"] / 1e6, 6, "MB")
    yield reference(MARTS, f"report {of}: time", page.result["seconds"], "s")
