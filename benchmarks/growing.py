"""What grows with the warehouse: the same steps at a million generations and at ten.

`python -m benchmarks.growing build FOLDER COUNT` makes a warehouse of this many generations over
three years, with its log, as runs would have left it; ten million take half an hour and 4 GB.
`python -m benchmarks.growing measure FOLDER COUNT` then prints time, processor time and memory of
each step as whole processes, and the bytes on disk. docs/scaling.md has the figures.
"""

from __future__ import annotations

import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson
from rich.console import Console

from benchmarks import child
from benchmarks.world import environment, gateway, write_list

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.answer import Answer

START: Final = datetime(2023, 11, 1, tzinfo=UTC)
DAYS: Final = 1_096
BATCH, COMMIT = 5_000, 500_000
MODELS: Final = ("ray-1-6", "ray-2", "ray-flash-2")
SIZES: Final = ((1280, 720), (720, 1280), (1920, 1080), (752, 1360))
WORDS: Final = 3_000

say = Console(highlight=False, soft_wrap=True).print


def build(folder: str, count: int) -> None:
    """Write the answers in the order of time, and commit them as they come."""
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  brings pyarrow

    with Warehouse.writing(str(Path(folder, "warehouse"))) as warehouse:
        for first in range(0, count, BATCH):
            batch = [_answer(n, count) for n in range(first, min(first + BATCH, count))]
            warehouse.save(f"grow-{first:09}", batch, "grow")
            if (first + BATCH) % COMMIT == 0 or first + BATCH >= count:
                warehouse.commit()
                say(f"{first + len(batch):,} of {count:,}")
    with Path(folder, "known.txt").open("w", encoding="ascii") as file:
        file.writelines(f"{_id(number)}\n" for number in range(count))


def measure(folder: str, count: int) -> None:
    """Each step as a process of its own, on the warehouse that `build` made."""
    root = str(Path(folder, "warehouse"))
    _say("all marts", child.process("benchmarks.flattening:marts", root))
    with gateway() as sandbox:
        where = {**environment(sandbox), "LUMA_WAREHOUSE": root}
        write_list(Path(folder, "day.txt"), count // DAYS, seed=count)
        for name, arguments in _steps():
            _say(name, child.command_line(*arguments, cwd=Path(folder), **where))
    for table in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        size = sum(path.stat().st_size for path in table.rglob("*") if path.is_file())
        if size > count:
            say(f"| `{table.name}` on disk, bytes a generation | {size / count:,.0f} |")
    say(f"| `report.html` | {Path(folder, 'report.html').stat().st_size / 1e6:.1f} MB |")


def _steps() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "a run with nothing new", ("ingest", "known.txt")
    yield "a day's news, marts included", ("ingest", "day.txt")
    yield "`show`", ("show",)
    yield "`report`", ("report", "--output", "report.html")
    yield "`rebuild`, marts included", ("rebuild",)


def _say(name: str, cost: child.Measured) -> None:
    say(f"| {name} | {cost.seconds:,.1f} s | {cost.cpu:,.1f} s | {cost.peak_mib:,.0f} MiB |")


def _id(number: int) -> str:
    return f"{_mixed(number) >> 32:08x}-7b3a-4f54-bc21-{number:012x}"


def _mixed(number: int) -> int:
    """64 bits that look random: names of files do not compress, and nor do these."""
    number = (number + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
    number ^= number >> 29
    return number * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF


def _answer(number: int, count: int) -> Answer:
    from connector.record.answer import Answer, Outcome  # noqa: PLC0415  brings pyarrow

    created = START + timedelta(DAYS * number / count)
    came = created + timedelta(seconds=30 + _mixed(number) % 300)
    return Answer(
        task_id=_id(number),
        outcome=Outcome.GENERATION,
        http_status=200,
        attempts=1,
        elapsed_seconds=0.25,
        fetched_at=came,
        body=orjson.dumps(_body(number, count, created)),
    )


def _body(number: int, count: int, created: datetime) -> dict[str, object]:
    """Three of ten prompts are new, the others repeat; one generation in 17 failed."""
    drawn, model = _mixed(number), MODELS[number % 3]
    width, height = SIZES[drawn % 4]
    is_failed = drawn % 17 == 0
    head = f"https://storage.example.com/{model}/{drawn:016x}/{_mixed(drawn):016x}"
    files = {
        name: {"url": f"{head}_{name}.{end}", "width": width, "height": height}
        for name, end in (("video", "mp4"), ("thumbnail", "jpg"), ("last_frame", "jpg"))
    }
    return {
        "id": f"{drawn & 0xFFFFFFFF:08x}-0000-4000-8000-{number:012x}",
        "liked": None,
        "state": "failed" if is_failed else "completed",
        "failure_reason": "moderation" if is_failed and drawn % 2 else None,
        "model": model,
        "prompt": _prompt(number % max(1, count * 3 // 10)),
        "created_at": created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "video_raw": None,
        "queue_state": None,
        "estimate_wait_seconds": None,
        **(dict.fromkeys(files) if is_failed else files),
    }


def _prompt(seed: int) -> str:
    """Of 6 to 24 words, a few of them common, most of them rare."""
    draw = random.Random(seed)
    return " ".join(f"w{WORDS ** draw.random():.0f}" for _ in range(draw.randint(6, 24)))


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
