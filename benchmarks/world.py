"""Gateway, task IDs and warehouses to measure with."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connector.sandbox import Sandbox, SandboxSettings, task_ids
from connector.storage.arrow import import_pyarrow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from connector.record.answer import Answer

KEY: Final = "luma-bench-key"
BATCH: Final = 5_000
FIRST_MONTH: Final = datetime(2024, 1, 1, tzinfo=UTC)
MONTHS: Final = 24
DAYS: Final = 730.5


@contextmanager
def gateway(**settings: Any) -> Iterator[Sandbox]:
    """A gateway in its own process, without latency or unfinished generations."""
    given = SandboxSettings(key=KEY, unfinished=0.0, count_task_ids=False, **settings)
    with Sandbox(given) as sandbox:
        yield sandbox


def environment(sandbox: Sandbox) -> dict[str, str]:
    """Environment variables for the command line."""
    return {"LUMAAI_API_KEY": KEY, "LUMA_BASE_URL": sandbox.base_url}


def write_list(path: Path, count: int, seed: int = 0) -> list[str]:
    """Write a file of task IDs; return them."""
    given = task_ids(count, seed=seed)
    path.write_text("\n".join(given))
    return given


def answers(first: int, count: int, *, dates: int = MONTHS, day: int | None = None) -> list[Answer]:
    """Answers like a gateway's, from this many dates in two years, or all from one day."""
    from connector.record.answer import Answer, Outcome  # noqa: PLC0415  brings pyarrow

    made = []
    for number in range(first, first + count):
        created = FIRST_MONTH + timedelta(DAYS / dates * (number % dates), number % 86_400)
        if day is not None:
            created = FIRST_MONTH + timedelta(day, number % 86_400)
        made.append(
            Answer(
                task_id=f"{number:08x}-7b3a-4f54-bc21-12f0e6da5791",
                outcome=Outcome.GENERATION,
                http_status=200,
                attempts=1,
                elapsed_seconds=0.25,
                fetched_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number),
                body=_body(number, created),
            )
        )
    return made


def _body(number: int, created: datetime) -> bytes:
    """The documented example with other values; every third prompt occurs twice."""
    template = _example()
    width, height = ((752, 1360), (1360, 752), (1280, 720), (720, 1280))[number % 4]
    size = {"width": width, "height": height}
    document = {
        **template,
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "state": "failed" if number % 17 == 0 else "completed",
        "prompt": f"a cat number {number % (number // 3 + 1)} walks over a wooden bridge",
        "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "video": {**template["video"], **size},
        "thumbnail": {**template["thumbnail"], **size},
        "last_frame": {**template["last_frame"], **size},
    }
    return json.dumps(document, separators=(",", ":")).encode()


@cache
def _example() -> dict[str, Any]:
    path = Path(__file__).parents[1] / "data/examples/completed.json"
    example: dict[str, Any] = json.loads(path.read_bytes())
    return example


def build(root: str, count: int, partition_by: str = "month") -> float:
    """Build a warehouse of generations over two years, committed as one backfill.

    Returns:
        Seconds of the commit.
    """
    import_pyarrow()  # as the commands do
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  brings pyarrow

    dates = MONTHS if partition_by == "month" else int(DAYS)
    with Warehouse.writing(root, partition_by) as warehouse:
        for first in range(0, count, BATCH):
            batch = answers(first, min(BATCH, count - first), dates=dates)
            warehouse.save(f"backfill-{first:09}", batch, "backfill")
        started = time.perf_counter()
        warehouse.commit()
        return time.perf_counter() - started


def without_heartbeat() -> AbstractContextManager[object]:
    """A context in which a flow run ends when its work does.

    Prefect lets it end only when the thread of its heartbeat wakes, once a second.
    """
    from prefect.settings import (  # noqa: PLC0415  reads the environment
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    return temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
