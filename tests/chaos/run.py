"""`make chaos`: everything that could lose, duplicate or tear data, for minutes.

Prints what was tried, how often, and what was lost, which must be nothing. Name parts to run only
those.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import buckets, crashes, faults, frozen, fuzz, hostile, readers, sudden
from chaos.checks import Lost
from chaos.killer import Act, kind_of
from chaos.scenario import SCENARIOS
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Scenarios to kill at their write points; together they have every kind of point.
SWEPT: Final = ("first run", "run that spills", "compact", "rebuild", "repair")

# Scenarios whose disk fails at the first point of each kind.
FAILED: Final = {
    Act.FULL: ("first run", "run that spills"),
    Act.READ_ONLY: ("rebuild",),
}

# Kills per kind of point, such as the first row group, the next, one more.
PER_KIND: Final = 3

# Moments at which a writer is frozen.
FROZEN: Final = {"run": 20, "rebuild": 10, "compact": 10}

# Extra task IDs for kills at random times, so that a run lasts long enough.
MORE: Final = 150


@dataclass(slots=True)
class Line:
    """A line of the result.

    Attributes:
        times: Number of tries.
        lost: A sentence for each loss.
        note: Other observations.
    """

    what: str
    times: int
    lost: list[str] = field(default_factory=list)
    note: str = ""


def kill_everywhere(folder: Path, scale: float) -> Iterator[Line]:
    """Kill each command at write points of each kind; with `--scale 10` at every point."""
    with crashes.Crew(folder / "crashes") as crew:
        for name in SWEPT:
            past = crashes.make_past(crew, SCENARIOS[name])
            points = crashes.of_each_kind(past.points, max(1, round(PER_KIND * scale)))
            kinds = set(map(kind_of, past.points))
            lost = list(crashes.strike_each(crew, past, Act.KILL, points))
            note = f"all {len(kinds)} kinds of write points, of {len(past.points)} in all"
            yield Line(f"{name}, killed at its write points", len(lost), _given(lost), note)


def kill_in_buckets(folder: Path, scale: float) -> Iterator[Line]:
    """Kill each command before each request that changes a bucket; let requests fail at random."""
    with buckets.BucketWorld(folder / "buckets") as world:
        for name, scenario in buckets.STORED.items():
            past = buckets.make_bucket_past(world, scenario)
            points = range(1, len(past.points) + 1, max(1, round(8 / scale)))
            lost = list(buckets.kill_at_requests(world, past, points))
            yield Line(f"{name} in a bucket, killed between requests", len(lost), _given(lost))
            seeds = range(max(1, round(scale)))
            lost = [buckets.fail_at_random(world, past, seed, 0.15) for seed in seeds]
            yield Line(f"{name} in a bucket, requests fail", len(lost), _given(lost), "15 %")


def freeze_writers(folder: Path, scale: float) -> Iterator[Line]:
    """Freeze a writer in a bucket for longer than its lease, while another one takes over."""
    draws = random.Random(1)
    with frozen.FrozenWorld(folder / "frozen") as world:
        for command, share in FROZEN.items():
            requests = frozen.count_requests(world, command)
            numbers = draws.sample(range(1, requests + 1), min(requests, round(share * scale)))
            lost = [
                frozen.freeze(world, command, number, is_under_way=bool(at % 2))
                for at, number in enumerate(numbers)
            ]
            yield Line(f"{command} in a bucket, frozen", len(lost), _given(lost))


def fail_disks(folder: Path, _: float) -> Iterator[Line]:
    """Let the disk fail at a write point of each kind."""
    with crashes.Crew(folder / "disks") as crew:
        for act, name in [(act, name) for act, names in FAILED.items() for name in names]:
            past = crashes.make_past(crew, SCENARIOS[name])
            points = crashes.of_each_kind(past.points, 1)
            lost = list(crashes.strike_each(crew, past, act, points))
            yield Line(f"{name}, {act}", len(lost), _given(lost), "one clear message, exit 4")


def kill_suddenly(folder: Path, scale: float) -> Iterator[Line]:
    """Kill the command line at random times."""
    with crashes.Crew(folder / "sudden", more=MORE) as crew:
        past = crashes.make_past(crew, SCENARIOS["later run"])
        found = sudden.kill_at_random(crew, past, sudden.COMMAND_LINE, round(20 * scale))
        yield Line("command line, killed at random times", found.done, found.lost)


def kill_flows(folder: Path, scale: float) -> Iterator[Line]:
    """Kill the Prefect flow at random times."""
    with (
        crashes.Crew(folder / "flows", more=MORE) as crew,
        sudden.flow_door(folder / "flows") as door,
    ):
        past = crashes.make_past(crew, SCENARIOS["later run"])
        found = sudden.kill_at_random(crew, past, door, round(20 * scale))
        yield Line("Prefect flow, killed at random times", found.done, found.lost)


def read_meanwhile(folder: Path, scale: float) -> Iterator[Line]:
    """Read while a writer commits without pause."""
    watched = readers.read_while_writing(folder / "readers", 40 * scale, readers.engines())
    pace = watched.replaced / watched.seconds
    for engine, ways in watched.readings.items():
        wrong = [f"{engine} {way}: {text}" for way, found in ways.items() for text in found.wrong]
        errors = [
            f"{engine} {way}: {found.failures} errors, the first: {found.example}"
            for way, found in ways.items()
            if found.failures
        ]
        reads = sum(found.tried for found in ways.values())
        failures = sum(found.failures for found in ways.values())
        lost = wrong if engine in readers.MAY_FAIL else [*wrong, *errors]
        note = f"{failures} errors; {pace:.0f} files replaced a second"
        yield Line(f"{engine}, reading while a run writes", reads, lost, note)


def be_hostile(folder: Path, scale: float) -> Iterator[Line]:
    """Send all bad answers at once, and random bodies."""
    found = hostile.attack(folder / "menu", round(5000 * scale))
    lost = [*found.wrong, *(f"{kind}: no end declared" for kind in hostile.undeclared())]
    if found.peak_mib > hostile.MOST_MIB:
        lost.append(f"{found.peak_mib:.0f} MiB of memory")
    kinds = Counter(hostile.EXPECTED.values())
    tried = kinds.total() - kinds[hostile.STOP]
    yield Line("bad answers among good ones", tried, lost, f"peak memory {found.peak_mib:.0f} MiB")
    meanwhile, _ = hostile.hang(folder / "hang", hostile.GOOD_MEANWHILE)
    held_up = meanwhile < hostile.GOOD_MEANWHILE
    yield Line(
        "task IDs that never answer",
        hostile.HANGING,
        [f"only {meanwhile} others had answers meanwhile"] if held_up else [],
        f"{meanwhile} others answered meanwhile",
    )
    yield Line("random bodies", fuzz.fuzz(round(120 * scale)))


def fault_everything(folder: Path, scale: float) -> Iterator[Line]:
    """Let storage, clocks, answers, notes and neighbours fail, each by itself."""
    with crashes.Crew(folder / "faults") as crew:
        past = crashes.make_past(crew, SCENARIOS["later run"])
        found = (
            ("reading fails during a rebuild", faults.fail_to_read(crew, past)),
            ("the clock jumps", faults.jump_clocks(crew, past)),
            ("notes are damaged", faults.damage_notes(crew, past)),
            ("foreign files", faults.add_foreign_files(crew, past)),
            (
                "forget, killed at its write points",
                faults.kill_forgetting(crew, past, 1),
            ),
        )
        for what, losses in found:
            lost = list(losses)
            yield Line(what, len(lost), _given(lost))
    seeds = range(max(1, round(3 * scale)))
    lost = [faults.mix_up(folder / f"mixed-{seed}", seed) for seed in seeds]
    yield Line("answers are mixed up", len(lost), _given(lost))
    count = round(64 * scale)
    lost = [faults.be_huge(folder / "huge", count)]
    yield Line("huge answers", count, _given(lost), f"{faults.HUGE_BYTES / 1e6:.1f} MB each")
    with buckets.BucketWorld(folder / "two") as world:
        lost = [faults.run_two(world) for _ in seeds]
        yield Line("two runs on one bucket", len(lost), _given(lost))


PARTS: Final[dict[str, Callable[[Path, float], Iterator[Line]]]] = {
    "kills": kill_everywhere,
    "sudden": kill_suddenly,
    "flows": kill_flows,
    "disks": fail_disks,
    "buckets": kill_in_buckets,
    "frozen": freeze_writers,
    "readers": read_meanwhile,
    "hostile": be_hostile,
    "faults": fault_everything,
}


def main() -> int:
    """Run the named parts, or all; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").replace("`", ""))
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--scale", type=float, default=1.0, help="factor for the number of tries (default: 1)"
    )
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    console, lines, started = Console(), [], time.monotonic()
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder:
        for part in options.parts or PARTS:
            for line in _surviving(part, PARTS[part](Path(folder), options.scale)):
                lines.append(line)
                console.print(f"{line.what}: {line.times}, {len(line.lost)} lost", markup=False)
                for text in line.lost:
                    console.print(f"  {text}", style="red", markup=False)
    console.print(_table(lines))
    kills = sum(line.times for line in lines if "killed" in line.what)
    console.print(f"{kills:,} kills; {time.monotonic() - started:.0f} s")
    return int(any(line.lost for line in lines))


def _surviving(part: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Count a part that cannot start as a loss."""
    try:
        for line in lines:
            if not line.times:
                line.lost.append("nothing was tried")
            yield line
    except Lost as error:
        yield Line(f"{part}, undisturbed", 1, [str(error)])


def _given(lost: list[str | None]) -> list[str]:
    return [text for text in lost if text]


def _table(lines: list[Line]) -> Table:
    table = Table("what was tried", "times", "lost", "", title="Nothing lost")
    table.columns[1].justify = table.columns[2].justify = "right"
    for line in lines:
        style = "bold red" if line.lost else "green"
        lost = f"[{style}]{len(line.lost)}[/]" if line.lost else f"[{style}]nothing[/]"
        table.add_row(line.what, f"{line.times:,}", lost, line.note)
    return table


if __name__ == "__main__":
    sys.exit(main())
