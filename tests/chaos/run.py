"""`make chaos`: everything that could lose, duplicate or tear data, in ten minutes on two cores.

Every kind of attack is tried, and in the time that is left more of them, chosen at random. Prints
what was tried, how often, how long it took, and what was lost, which must be nothing. Name parts to
run only those; `--seed` repeats what an earlier run chose.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

sys.path.insert(0, str(Path(__file__).parents[1]))

from chaos import buckets, crashes, faults, frozen, fuzz, hostile, readers, sudden
from chaos.budget import Budget
from chaos.checks import Lost
from chaos.killer import Act, kind_of
from chaos.scenario import SCENARIOS
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from chaos.scenario import World

# Scenarios to kill at their write points; together they have every kind of point.
SWEPT: Final = ("first run", "run that spills", "compact", "rebuild", "repair")

# Scenarios whose disk fails at a point of each kind.
FAILED: Final = {
    Act.FULL: ("first run", "run that spills"),
    Act.READ_ONLY: ("rebuild",),
}

# Moments at which a writer is frozen, at least: every other time its request is under way.
FROZEN: Final = {"run": 6, "rebuild": 4, "compact": 4}

# Kinds of requests that a command has in common with others, and that are tried again.
KNOWN_KINDS: Final = 3

# Many requests at once have their answers in any order, and a family begins with the first of them.
OF_FAMILIES: Final = (
    "families",
    "prompts.family_id",
    "terms.failure_difference_lower",
    "terms.failure_difference_upper",
)
UNORDERED: Final = replace(SCENARIOS["later run"], not_compared=OF_FAMILIES)

# Extra task IDs for kills at random times, so that a run lasts long enough.
MORE: Final = 150

# Answers of megabytes at once.
HUGE: Final = 64

# Parts that run side by side. Some wait more than they work.
LANES: Final = 3


@dataclass
class Terms:
    """What a part is given.

    Attributes:
        folder: Where it works.
        seed: Of what it draws.
        budget: Its time.
        size: Worlds to have at once.
    """

    folder: Path
    seed: str
    budget: Budget
    size: int

    @cached_property
    def draw(self) -> random.Random:
        """Random numbers, the same for the same seed."""
        return random.Random(self.seed)

    def part_of(self, share: float, least: int = 1) -> Budget:
        """A share of the time, from now on."""
        return Budget(share * self.budget.seconds, least)


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


def kill_everywhere(terms: Terms) -> Iterator[Line]:
    """Kill commands at a write point of each kind, in one of those that have it, and at others."""
    with crashes.Crew(terms.folder / "crashes", terms.size) as crew:
        yield from _strike(crew, terms, Act.KILL, SWEPT, terms.budget)


def fail_disks(terms: Terms) -> Iterator[Line]:
    """Let the disk fail at a write point of each kind, in one of the commands that have it."""
    with crashes.Crew(terms.folder / "disks", terms.size) as crew:
        for act, names in FAILED.items():
            yield from _strike(crew, terms, act, names, terms.part_of(0.0))


def _strike(
    crew: crashes.Crew, terms: Terms, act: Act, names: Sequence[str], budget: Budget
) -> Iterator[Line]:
    pasts = {name: crashes.make_past(crew, SCENARIOS[name]) for name in names}
    points = {name: crashes.points_of(past.points) for name, past in pasts.items()}
    having: dict[str, list[str]] = {}
    for name, some in points.items():
        for kind in {point.kind: None for point in some}:
            having.setdefault(kind, []).append(name)
    needed = [(terms.draw.choice(some), crashes.Point(kind)) for kind, some in having.items()]
    terms.draw.shuffle(needed)
    every = [(name, point) for name, some in points.items() for point in some]
    more = iter(lambda: terms.draw.choice(every), None)
    tried: Counter[str] = Counter()

    def strike(world: World, at: tuple[str, crashes.Point]) -> tuple[str, str | None]:
        return at[0], crashes.strike(world, pasts[at[0]], act, at[1])

    lost: dict[str, list[str]] = {name: [] for name in names}
    for name, loss in crew.each(strike, budget.all_of(needed, more)):
        tried[name] += 1
        lost[name] += [loss] if loss else []
    what = "killed at its write points" if act is Act.KILL else str(act)
    for name in names:
        kinds = len({point.kind for point in points[name]})
        note = f"{kinds} of {len(having)} kinds of write points"
        yield Line(f"{name}, {what}", tried[name], lost[name], note)


def kill_in_buckets(terms: Terms) -> Iterator[Line]:
    """Kill each command before a request of each kind to a bucket; let requests fail at random."""
    with buckets.BucketWorld(terms.folder / "buckets") as world:
        known: set[str] = set()
        for name, scenario in buckets.STORED.items():
            past = buckets.make_bucket_past(world, scenario)
            kinds = [kind_of(point) for point in past.points]
            numbers = buckets.of_each_kind(past.points, terms.draw)
            # What another command has had must be tried again only now and then.
            numbers.sort(key=lambda number: kinds[number - 1] in known)
            fresh = sum(kinds[number - 1] not in known for number in numbers)
            needed = numbers[: fresh + KNOWN_KINDS]
            known.update(kinds)
            every = range(1, len(past.points) + 1)
            more = iter(lambda every=every: terms.draw.choice(every), None)
            tries = terms.part_of(1 / len(buckets.STORED)).all_of(needed, more)
            lost = [buckets.kill_at_request(world, past, number) for number in tries]
            note = f"{len(set(kinds))} kinds of requests"
            yield Line(
                f"{name} in a bucket, killed between requests", len(lost), _given(lost), note
            )
            seed = terms.draw.randrange(1000)
            lost = [buckets.fail_at_random(world, past, seed, 0.15)]
            yield Line(f"{name} in a bucket, requests fail", len(lost), _given(lost), "15 %")


def freeze_writers(terms: Terms) -> Iterator[Line]:
    """Freeze a writer in a bucket for longer than its lease, while another one takes over."""
    with crashes.Crew(terms.folder / "frozen", kind=frozen.FrozenWorld) as crew:
        for command, least in FROZEN.items():
            with crew.lent() as world:
                assert isinstance(world, frozen.FrozenWorld)
                requests = frozen.count_requests(world, command)
            numbers = terms.draw.sample(range(1, requests + 1), requests)
            tries = list(enumerate(numbers))

            def freeze(world: World, at: tuple[int, int], command: str = command) -> str | None:
                assert isinstance(world, frozen.FrozenWorld)
                return frozen.freeze(world, command, at[1], is_under_way=bool(at[0] % 2))

            budget = terms.part_of(1 / len(FROZEN))
            lost = crew.each(freeze, budget.all_of(tries[:least], tries[least:]))
            yield Line(f"{command} in a bucket, frozen", len(lost), _given(lost))


def kill_suddenly(terms: Terms) -> Iterator[Line]:
    """Kill the command line at random times."""
    with crashes.Crew(terms.folder / "sudden", terms.size, more=MORE) as crew:
        past = crashes.make_past(crew, UNORDERED)
        budget = terms.part_of(1.0, least=8)
        found = sudden.kill_at_random(crew, past, sudden.COMMAND_LINE, budget, terms.seed)
        yield Line("command line, killed at random times", found.done, found.lost)


def kill_flows(terms: Terms) -> Iterator[Line]:
    """Kill the Prefect flow at random times."""
    with (
        crashes.Crew(terms.folder / "flows", terms.size, more=MORE) as crew,
        sudden.flow_door(terms.folder / "flows") as door,
    ):
        past = crashes.make_past(crew, UNORDERED)
        budget = terms.part_of(1.0, least=5)
        found = sudden.kill_at_random(crew, past, door, budget, terms.seed)
        yield Line("Prefect flow, killed at random times", found.done, found.lost)


def read_meanwhile(terms: Terms) -> Iterator[Line]:
    """Read while a writer commits without pause."""
    seconds = terms.budget.seconds
    watched = readers.read_while_writing(terms.folder / "readers", seconds, readers.engines())
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


def be_hostile(terms: Terms) -> Iterator[Line]:
    """Send all bad answers at once, and random bodies."""
    found = hostile.attack(terms.folder / "menu", 2000)
    lost = [*found.wrong, *(f"{kind}: no end declared" for kind in hostile.undeclared())]
    if found.peak_mib > hostile.MOST_MIB:
        lost.append(f"{found.peak_mib:.0f} MiB of memory")
    kinds = Counter(hostile.EXPECTED.values())
    tried = kinds.total() - kinds[hostile.STOP]
    yield Line("bad answers among good ones", tried, lost, f"peak memory {found.peak_mib:.0f} MiB")
    meanwhile, _ = hostile.hang(terms.folder / "hang", hostile.GOOD_MEANWHILE)
    held_up = meanwhile < hostile.GOOD_MEANWHILE
    yield Line(
        "task IDs that never answer",
        hostile.HANGING,
        [f"only {meanwhile} others had answers meanwhile"] if held_up else [],
        f"{meanwhile} others answered meanwhile",
    )
    yield Line("random bodies", fuzz.fuzz(40, terms.draw.randrange(1 << 32)))


def fault_everything(terms: Terms) -> Iterator[Line]:
    """Let storage, clocks, answers, notes and neighbours fail, each by itself."""
    with crashes.Crew(terms.folder / "faults", terms.size) as crew:
        past = crashes.make_past(crew, SCENARIOS["later run"])
        for what, attack in (
            ("reading fails during a rebuild", faults.fail_to_read),
            ("the clock jumps", faults.jump_clocks),
            ("notes are damaged", faults.damage_notes),
            ("foreign files", faults.add_foreign_files),
            ("forget, killed at its write points", faults.kill_forgetting),
        ):
            lost = attack(crew, past)
            yield Line(what, len(lost), _given(lost))
    lost = [faults.mix_up(terms.folder / "mixed", terms.draw.randrange(1000))]
    yield Line("answers are mixed up", len(lost), _given(lost))
    lost = [faults.be_huge(terms.folder / "huge", HUGE)]
    yield Line("huge answers", HUGE, _given(lost), f"{faults.HUGE_BYTES / 1e6:.1f} MB each")
    with buckets.BucketWorld(terms.folder / "two") as world:
        lost = [faults.run_two(world)]
        yield Line("two runs on one bucket", len(lost), _given(lost))


# Each part, and its seconds if all have ten minutes. The longest come first, so that all lanes
# end at about the same time.
PARTS: Final[dict[str, tuple[Callable[[Terms], Iterator[Line]], float]]] = {
    "buckets": (kill_in_buckets, 200),
    "kills": (kill_everywhere, 200),
    "disks": (fail_disks, 150),
    "faults": (fault_everything, 120),
    "flows": (kill_flows, 70),
    "frozen": (freeze_writers, 90),
    "sudden": (kill_suddenly, 40),
    "hostile": (be_hostile, 40),
    "readers": (read_meanwhile, 20),
}
MINUTES: Final = 9.0


@dataclass
class Result:
    """A part that has ended.

    Attributes:
        lines: What it has tried.
        seconds: Its duration.
        cpu_seconds: Of all its processes.
    """

    part: str
    lines: list[Line]
    seconds: float
    cpu_seconds: float


def main() -> int:
    """Run the named parts, or all; return the exit code."""
    options = _options()
    if options.only:
        return _run_part(options)
    # A process that compiles the project at each start takes twice the time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    console, started = Console(), time.monotonic()
    parts = options.parts or [*PARTS]
    console.print(f"seed {options.seed}")
    with (
        tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as folder,
        ThreadPoolExecutor(LANES) as lanes,
    ):
        size = 1 if len(parts) > 1 else LANES
        common = ["--seed", options.seed, "--minutes", options.minutes, "--size", size]
        command = [sys.executable, __file__, *map(str, common), "--folder", folder, "--only"]
        results = list(lanes.map(lambda part: _start_part(part, command, console), parts))
    seconds = time.monotonic() - started
    console.print(_table(results))
    kills = sum(one.times for result in results for one in result.lines if "killed" in one.what)
    cpu = sum(result.cpu_seconds for result in results)
    console.print(f"{kills:,} kills; {seconds:.0f} s; {cpu:.0f} s of processor time")
    console.print(f"To repeat a part: tests/chaos/run.py --seed {options.seed} PART")
    return int(any(line.lost for result in results for line in result.lines))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").replace("`", ""))
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument(
        "--minutes",
        type=float,
        default=MINUTES,
        help="time for all parts; what must be tried is tried anyway (default: %(default)g)",
    )
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--folder", type=Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    return options


def _start_part(part: str, command: list[str], console: Console) -> Result:
    """Run a part in a process of its own; print its lines as they come."""
    result, started = Result(part, [], 0.0, 0.0), time.monotonic()
    running = subprocess.Popen([*command, part], stdout=subprocess.PIPE, text=True)
    assert running.stdout
    for text in running.stdout:
        line = Line(**json.loads(text))
        result.lines.append(line)
        console.print(f"{line.what}: {line.times:,}, {len(line.lost)} lost", markup=False)
        for loss in line.lost:
            console.print(f"  {loss}", style="red", markup=False)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    if running.returncode:
        text = f"it ended with {running.returncode}"
        result.lines.append(Line(f"{part}, as a whole", 1, [text]))
    result.seconds = time.monotonic() - started
    result.cpu_seconds = usage.ru_utime + usage.ru_stime
    return result


def _run_part(options: argparse.Namespace) -> int:
    """Run one part in this process; print a line of JSON for each line of the result."""
    run, seconds = PARTS[options.only]
    budget = Budget(seconds * options.minutes / MINUTES)
    seed = f"{options.seed} {options.only}"
    for line in _surviving(options.only, run(Terms(options.folder, seed, budget, options.size))):
        print(json.dumps(asdict(line)), flush=True)  # noqa: T201  the answer
    return 0


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


def _table(results: list[Result]) -> Table:
    table = Table("what was tried", "times", "lost", "seconds", "", title="Nothing lost")
    for column in table.columns[1:4]:
        column.justify = "right"
    for result in results:
        whole = Line(
            result.part,
            sum(line.times for line in result.lines),
            [text for line in result.lines for text in line.lost],
            f"{result.cpu_seconds:.0f} s of processor time",
        )
        table.add_row(*_cells(whole, f"{result.seconds:.0f}"), style="bold", end_section=False)
        for number, line in enumerate(result.lines, 1):
            table.add_row(*_cells(line, ""), end_section=number == len(result.lines))
    return table


def _cells(line: Line, seconds: str) -> tuple[str, ...]:
    lost = f"[red]{len(line.lost)}[/]" if line.lost else "[green]nothing[/]"
    return line.what, f"{line.times:,}", lost, seconds, line.note


if __name__ == "__main__":
    sys.exit(main())
