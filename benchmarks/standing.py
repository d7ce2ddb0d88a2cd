"""A warehouse of a million generations: runs with nothing new, a little new, everything new."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import child
from benchmarks.figure import Figure, at_most, reference
from benchmarks.flattening import measure_marts
from benchmarks.world import answers, environment, gateway
from connector.storage.arrow import import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP: Final = "A warehouse that is large already"
FEW: Final = 1_000
# A day in the first year.
DAY: Final = 200


def measure_standing(*, quick: bool) -> Iterator[Figure]:
    """Cost of a run relative to the size of the warehouse."""
    count = 100_000 if quick else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "warehouse")
        built = child.call("benchmarks.world:build", str(root), count)
        yield from _backfill(root, count, built.result)
        yield from _nothing_new(root, count)
        yield from _little_new(root, count)
        yield from _little_new_by_day(root, count)
        yield from measure_marts(str(root), count)


def _backfill(root: Path, count: int, seconds: float) -> Iterator[Figure]:
    tenth = child.call("benchmarks.world:build", str(root.with_name("tenth")), count // 10).result
    yield reference(
        GROUP, f"backfill of {count:,} answers over 24 months, committed", count / seconds, "rows/s"
    )
    name = f"seconds per row of that, against a backfill of {count // 10:,}"
    yield at_most(GROUP, name, (seconds / count) / (tenth / (count // 10)), 1.5)


def _nothing_new(root: Path, count: int) -> Iterator[Figure]:
    child.call("benchmarks.flattening:marts", str(root))
    given = root.with_name("known.txt")
    ids = (f"{number:08x}-7b3a-4f54-bc21-12f0e6da5791\n" for number in range(count))
    given.write_text("".join(ids))
    before = _files(root)
    with gateway() as sandbox:
        arguments = ("ingest", "known.txt", "--warehouse", str(root))
        run = child.command_line(*arguments, cwd=root.parent, **environment(sandbox))
        requests = sandbox.stats()["requests"]
    changed = len(before.items() ^ _files(root).items())
    name = f"run over {count:,} known task IDs"
    yield at_most(GROUP, f"{name}: time", run.seconds, 5, "s")
    yield at_most(GROUP, f"{name}: peak memory", run.peak_mib, 500, "MiB")
    yield at_most(GROUP, f"{name}: requests and changed files", requests + changed, 0, "")


def _files(root: Path) -> dict[str, tuple[int, int]]:
    """Size and time of each file, except for the lock's own."""
    return {
        str(path.relative_to(root)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file() and not path.name.startswith(".lock")
    }


def _little_new(root: Path, count: int) -> Iterator[Figure]:
    empty = child.call(f"{__name__}:commit", str(root.with_name("empty")), count, DAY).result
    one_day = child.call(f"{__name__}:commit", str(root), count, DAY).result
    spread = child.call(f"{__name__}:commit", str(root), 2 * count, None).result
    yield reference(
        GROUP, f"commit of {FEW:,} new answers into an empty warehouse", empty["seconds"], "s"
    )
    name = f"the same into {count:,} generations partitioned by month, all of one day"
    yield at_most(GROUP, f"{name}, against empty", one_day["seconds"] / empty["seconds"], 3)
    share = one_day["rewritten"] / one_day["seconds"]
    yield reference(GROUP, f"{name}: rows rewritten per second", share, "rows/s")
    share = spread["rewritten"] / spread["seconds"]
    yield reference(
        GROUP, "the same spread over two years: rows rewritten per second", share, "rows/s"
    )


def _little_new_by_day(root: Path, count: int) -> Iterator[Figure]:
    """The same with daily partitions."""
    by_day, into = root.with_name("by-day"), root.with_name("empty-by-day")
    child.call("benchmarks.world:build", str(by_day), count, "day")
    empty, full = (
        child.call(f"{__name__}:commit", str(place), count, DAY, "day").result["seconds"]
        for place in (into, by_day)
    )
    name = f"the same into {count:,} generations partitioned by day, against empty"
    yield at_most(GROUP, name, full / empty, 3)


def commit(
    root: str, first: int, day: int | None, partition_by: str | None = None
) -> dict[str, Any]:
    """Commit a few new answers; return the seconds and the rows of all written files."""
    import_pyarrow()  # as the commands do
    import pyarrow.parquet as pq  # noqa: PLC0415  imports are not measured

    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  as above

    with Warehouse.writing(root, partition_by) as warehouse:
        warehouse.save(f"few-{first}", answers(first, FEW, day=day), "few")
        before = warehouse.storage.versions("generations")
        # A real run has read this for its plan before it commits.
        warehouse.settled()
        started = time.perf_counter()
        warehouse.commit()
        seconds = time.perf_counter() - started
        after = warehouse.storage.versions("generations")
    written = [
        name
        for name, version in after.items()
        if name.endswith(".parquet") and before.get(name) != version
    ]
    rows = sum(pq.read_metadata(Path(root, name)).num_rows for name in written)
    return {"seconds": seconds, "rewritten": rows}
