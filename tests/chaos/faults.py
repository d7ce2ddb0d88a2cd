"""Faults of what a run stands on: storage, clocks, answers, notes, neighbours.

Each lets one thing go wrong in a world with a past, and then checks what `crashes` checks, or says
itself what must hold.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import threading
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import pyarrow.compute as pc
import pyarrow.parquet as pq
from chaos.checks import Lost, check_accounts, comparable, read_all
from chaos.crashes import Point, of_each_kind, points_of, survive
from chaos.killer import Orders
from chaos.scenario import INGEST, LATER
from raw_server import RawServer, reply

from connector.sandbox import task_ids

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from chaos.buckets import BucketWorld
    from chaos.crashes import Crew, Pasts
    from chaos.forks import Ended
    from chaos.scenario import World

T = TypeVar("T")

NOTES: Final = ("tables.json", "marts.json", "walks.json", "given.json", "clocks.json")
DAMAGES: Final = {
    "empty": b"",
    "of another type": b"[1, 2]",
    "with NaN": b'{"format": NaN, "rows": {"a": NaN}}',
    "cut": b'{"format": 1, "ro',
    "not text": bytes(range(256)),
}
# Reading the memory of a process where it has none is an error of input and output.
UNREADABLE: Final = {"EIO": "/proc/self/mem", "ELOOP": "itself", "ENOTDIR": "/dev/null/x"}
DAY: Final = 86_400.0
HUGE_BYTES: Final = 3_900_000
HUGE_MIB: Final = 1024
FORGOTTEN: Final = "bad-not-found-1"


def fail_to_read(crew: Crew, pasts: Pasts) -> list[str | None]:
    """A file of the log cannot be read during a rebuild: it says so, and changes nothing."""

    def disaster(world: World, target: str) -> None:
        world.run(*INGEST)
        before = read_all(world.warehouse)
        path = min((world.warehouse / "answers").rglob("2*.parquet"))
        kept = path.rename(world.folder / "kept.parquet")
        path.symlink_to(path.name if target == "itself" else target)
        ended = world.run("rebuild")
        path.unlink()
        kept.rename(path)
        if ended.exit_code != 4 or "Traceback" in ended.stderr:
            raise Lost(f"it ended with {ended.exit_code}: {ended.stderr}")
        del before["answers"]
        if read_all(world.warehouse, ["answers"]) != before:
            raise Lost("tables changed")

    cases = {f"reading fails, {name}": target for name, target in UNREADABLE.items()}
    return _survive(crew, pasts, cases, disaster)


def jump_clocks(crew: Crew, pasts: Pasts) -> list[str | None]:
    """Runs whose clock is ahead, behind or not set, one after the other.

    The rows are those of right clocks, no time is in the future, and a rebuild changes nothing.
    Turnaround times are not compared: they rest on the clock.
    """
    jumps = {"ahead": (10.0,), "behind": (-10.0,), "1972": (-20_000.0,), "both": (10.0, -3.0, 2.0)}

    def strike(world: World, name: str) -> str | None:
        past = pasts[world.folder]
        past.lay_out(world)
        try:
            for offset in jumps[name]:
                _check(world.run("ingest", "middle.txt", clock_seconds=offset * DAY))
            world.settle()
            tables = read_all(world.warehouse)
            _check(world.run("rebuild"))
        except (Lost, AssertionError) as lost:
            return f"clock {name}: {lost}"
        again, now = read_all(world.warehouse), datetime.now(UTC)
        names = ("generations", "rejects")
        found = comparable(tables)
        lost = [name for name in names if found[name] != past.undisturbed[name]]
        lost += [f"{name}, rebuilt" for name in names if again[name] != tables[name]]
        lost += [f"times of {n}" for n in names if pc.max(tables[n]["fetched_at"]).as_py() > now]
        return f"clock {name}: {', '.join(lost)}" if lost else None

    return crew.each(strike, jumps)


def damage_notes(crew: Crew, pasts: Pasts) -> list[str | None]:
    """Each note of the warehouse is damaged, in one way or another."""

    def disaster(world: World, damage: tuple[str, bytes]) -> None:
        name, content = damage
        (world.warehouse / name).write_bytes(content)

    ways = cycle(DAMAGES.items())
    pairs = [(name, next(ways)) for name in (*NOTES, *reversed(NOTES))]
    cases = {f"{name} {what}": (name, content) for name, (what, content) in pairs}
    return _survive(crew, pasts, cases, disaster)


def add_foreign_files(crew: Crew, pasts: Pasts) -> list[str | None]:
    """What other programs leave beside the tables is neither read nor touched by a run."""

    def disaster(world: World, suffix: str) -> None:
        paths = [*(world.warehouse / "generations").rglob("*.parquet")]
        paths += [*(world.warehouse / "inbox").glob("*.parquet")]
        copies = [path.with_name(f"{path.stem}{suffix}") for path in paths]
        for path, copy in zip(paths, copies, strict=True):
            shutil.copy(path, copy)
        ended = world.run(*INGEST)
        _check(ended)
        if "not files of this warehouse" not in ended.stderr:
            raise Lost("they are not named")
        for copy in copies:
            copy.unlink()  # a loss if it is gone

    suffixes = (" (1).parquet", "-HOST (conflicted copy).parquet", ".parquet.crdownload")
    return _survive(crew, pasts, {f"foreign files{s}": s for s in suffixes}, disaster)


def kill_forgetting(crew: Crew, pasts: Pasts) -> list[str | None]:
    """A killed `forget` is finished by the next run: no byte of the task ID is left."""
    command = ("forget", "done.txt", "--yes")

    def forget(world: World, orders: Orders) -> Ended:
        pasts[world.folder].lay_out(world)
        world.run("ingest", "earlier.txt")
        return world.run(*command, orders=orders)

    with crew.lent() as world:
        log = world.folder / "points"
        ended = forget(world, Orders(str(world.warehouse), log=str(log)))
        _check(ended)
        points = points_of(log.read_text().splitlines())

    def strike(world: World, point: Point) -> str | None:
        ended = forget(world, Orders(str(world.warehouse), point.nth, kind=point.kind))
        try:
            if not (world.warehouse / ".forget.json").exists():
                _check(world.run(*command))  # it had not begun
            _check(world.run("ingest", "earlier.txt"))
            _check(world.run(*INGEST))
            check_accounts(read_all(world.warehouse)["runs"])
        except Lost as lost:
            return f"forget, killed at {point}: {lost}"
        paths = filter(Path.is_file, world.warehouse.rglob("*"))
        left = [path.name for path in paths if _holds(path, FORGOTTEN)]
        if left or not ended.was_killed:
            return f"forget, struck at {point}: left in {left}"
        return None

    return crew.each(strike, of_each_kind(points))


def _holds(path: Path, text: str) -> bool:
    if path.suffix != ".parquet":
        return text.encode() in path.read_bytes()
    return any(text in str(row) for row in pq.ParquetFile(path).read().to_pylist())


def mix_up(folder: Path, seed: int) -> str | None:
    """A gateway that gives the answer of another task now and then, and later the right one."""
    draws, lock, ids = random.Random(seed), threading.Lock(), task_ids(200, seed=seed)

    def answer(head: str, connection: socket.socket) -> None:
        asked = head.split(" ")[1].rpartition("/")[2]
        with lock:
            given = draws.choice(ids) if draws.random() < 0.1 else asked
        connection.sendall(reply(_generation(given)))

    with RawServer(answer) as gateway:
        ended = _command_line(folder, gateway.base_url, ids)
    if ended:
        return f"mixed-up answers: {ended}"
    rows = pq.read_table(folder / "w/generations", columns=["task_id", "prompt"]).to_pylist()
    wrong = [row["task_id"] for row in rows if not row["prompt"].startswith(row["task_id"])]
    if wrong or len(rows) != len(ids):
        return f"mixed-up answers: {len(wrong)} of {len(rows)} rows are of another task"
    return None


def be_huge(folder: Path, count: int) -> str | None:
    """Many answers of megabytes at once, in bounded memory."""
    ids = task_ids(count, seed=8)
    text = "x" * HUGE_BYTES

    def answer(head: str, connection: socket.socket) -> None:
        asked = head.split(" ")[1].rpartition("/")[2]
        connection.sendall(reply(_generation(asked, blob=asked + text)))

    with RawServer(answer) as gateway:
        ended = _command_line(folder, gateway.base_url, ids, HUGE_MIB)
    found = 0 if ended else pq.read_table(folder / "w/generations", columns=["task_id"]).num_rows
    return ended or (None if found == count else f"huge answers: {found} of {count} rows")


def run_two(world: BucketWorld) -> str | None:
    """Two runs on one bucket: the second waits, and asks for nothing again."""
    world.lay_out(None)
    world.sandbox.reset()
    command = [sys.executable, "-m", "connector", *INGEST, "--lock-timeout", "100"]
    both = [
        subprocess.Popen(command, env=world.environment, cwd=world.folder, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    ends = [one.wait(200) for one in both]
    for one in both:
        one.communicate()
    if any(ends):
        return f"two runs on a bucket ended with {ends}"
    tables = read_all(world.warehouse)
    check_accounts(tables["runs"])
    again = [one for one in LATER if one.count("-") > 4 and world.asked()[one] > 2]
    return f"{len(again)} task IDs were requested again" if again else None


def _generation(task_id: str, **more: str) -> bytes:
    document = {"id": task_id, "state": "completed", "created_at": "2025-10-01T00:00:00Z"}
    return json.dumps({**document, "request": {"prompt": f"{task_id}, a pier"}, **more}).encode()


# Ends with the peak of its memory, for the parent to compare.
_COMMAND: Final = """
import re, sys
from connector.cli.app import main
try:
    main()
finally:
    peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024
    print(f"peak {peak}", file=sys.stderr)
"""


def _command_line(folder: Path, base_url: str, ids: list[str], most_mib: int = 0) -> str | None:
    """Ingest in a process of its own; say what went wrong, if anything."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ids.txt").write_text("\n".join(ids))
    options = ["ingest", "ids.txt", "--warehouse", "w", "--base-url", base_url]
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *options],
        cwd=folder,
        env={**_environment(), "LUMAAI_API_KEY": "luma-chaos-key"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f"it ended with {done.returncode}: {done.stderr[-500:]}"
    peak = int(done.stderr.rsplit("peak ", 1)[1]) if "peak " in done.stderr else 0
    return f"{peak} MiB of memory" if most_mib and peak > most_mib else None


def _environment() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("LUMA")}


def _check(ended: Ended) -> None:
    if ended.has_failed or "Traceback" in ended.stderr:
        raise Lost(f"it ended with {ended.exit_code}: {ended.stderr or ended.stdout}")


def _survive(
    crew: Crew, pasts: Pasts, cases: dict[str, T], disaster: Callable[[World, T], None]
) -> list[str | None]:
    def strike(world: World, name: str) -> str | None:
        return survive(world, pasts, lambda: disaster(world, cases[name]), name)

    return crew.each(strike, cases)
