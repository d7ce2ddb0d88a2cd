"""Strikes a command at each of its write points, and checks that nothing is lost.

First the command runs undisturbed, which gives the points and the tables to compare with. Then, for
each point, the same past is restored, the command is struck there, and this must hold:

1. Every table is readable at once; see `checks.check_readable`.
2. The next run asks for exactly what is missing; see `checks.check_asked`.
3. When all tasks have finished, the tables equal the undisturbed run's, and the log of answers
   accounts for every counter; see `checks.check_final`.
"""

from __future__ import annotations

import queue
import re
import shutil
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from chaos.checks import (
    Lost,
    Tables,
    check_asked,
    check_final,
    check_readable,
    comparable,
    read_all,
    received,
)
from chaos.killer import Act, Orders, kind_of
from chaos.scenario import INGEST, Scenario, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from chaos.forks import Ended

T = TypeVar("T")
R = TypeVar("R")

MESSAGE: Final = re.compile(r"cannot (?:write|move|keep|remove)")
# Operations that may fail without harm: their leftovers stay until the next run.
HARMLESS: Final = ("remove", "rmdir", "close")


class Crew:
    """Worlds that work in parallel, about one per core, each with `more` task IDs."""

    def __init__(
        self, folder: Path, size: int = 2, more: int = 0, kind: type[World] = World
    ) -> None:
        self.folder = folder
        self._size = size
        self._more = more
        self._kind = kind
        self._idle: queue.SimpleQueue[World] = queue.SimpleQueue()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        for number in range(self._size):
            self._idle.put(
                self._open.enter_context(self._kind(self.folder / f"world-{number}", self._more))
            )
        self._threads = self._open.enter_context(ThreadPoolExecutor(self._size))
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()

    @contextmanager
    def lent(self) -> Iterator[World]:
        """An idle world, for the length of the block."""
        world = self._idle.get()
        try:
            yield world
        finally:
            self._idle.put(world)

    def in_all(self, work: Callable[[World], R]) -> list[R]:
        """Do some work in each world."""
        worlds = [self._idle.get() for _ in range(self._size)]
        try:
            return list(self._threads.map(work, worlds))
        finally:
            for world in worlds:
                self._idle.put(world)

    def each(self, work: Callable[[World, T], R], items: Iterable[T]) -> list[R]:
        """Do the work for each item in any world; an item is taken when a world is idle."""
        left, lock = iter(items), threading.Lock()

        def take() -> list[T]:
            with lock:
                return list(islice(left, 1))

        def pull(world: World) -> list[R]:
            found = []
            while items := take():
                found += [work(world, item) for item in items]
            return found

        return list(chain.from_iterable(self.in_all(pull)))


@dataclass(frozen=True)
class Past:
    """The start of a scenario's command, and its expected result.

    Attributes:
        snapshot: Copy of the warehouse, which may not exist.
        asked: Requests so far for each task ID.
        before: The tables before the command.
        points: The write points of the undisturbed command.
        undisturbed: The comparable part of the resulting tables.
    """

    scenario: Scenario
    snapshot: Path
    asked: dict[str, int]
    before: Tables
    points: list[str]
    undisturbed: Tables

    def lay_out(self, world: World) -> None:
        """Restore the start in a world."""
        shutil.rmtree(world.warehouse, ignore_errors=True)
        if self.snapshot.exists():
            shutil.copytree(self.snapshot, world.warehouse)
        world.recall(self.asked)


class Pasts(dict["Path", Past]):
    """A scenario's past in each world, by the world's folder: each has a gateway of its own."""

    @property
    def scenario(self) -> Scenario:
        """The same for all."""
        return next(iter(self.values())).scenario

    @property
    def points(self) -> list[str]:
        """The same for all: nothing in a world depends on its gateway's address."""
        return next(iter(self.values())).points


def make_past(crew: Crew, scenario: Scenario) -> Pasts:
    """Live through a scenario undisturbed, in each world."""

    def live(world: World) -> tuple[Path, Past]:
        snapshot = crew.folder / f"{scenario.name} in {world.folder.name}"
        return world.folder, _play(world, scenario, snapshot)

    return Pasts(crew.in_all(live))


def _play(world: World, scenario: Scenario, snapshot: Path) -> Past:
    shutil.rmtree(world.warehouse, ignore_errors=True)
    world.sandbox.reset()
    scenario.prepare(world)
    asked, before = world.asked(), {}
    if world.warehouse.exists():
        shutil.copytree(world.warehouse, snapshot)
        before = read_all(snapshot, scenario.unreadable)
    log = world.folder / "points"
    orders = Orders(str(world.warehouse), log=str(log))
    ended = world.play(scenario, orders)
    if ended.has_failed:
        raise Lost(f"{scenario.name} fails though nothing disturbs it: {ended.stderr}")
    points = log.read_text().splitlines()
    go_on(world, scenario)
    undisturbed = comparable(read_all(world.warehouse), scenario.not_compared)
    check_final(world.warehouse, undisturbed, scenario.not_compared)
    return Past(scenario, snapshot, asked, before, points, undisturbed)


class Point(NamedTuple):
    """A moment of a command: when a write point of a kind is reached for the n-th time."""

    kind: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.kind} (number {self.nth})"


def strike(world: World, past: Pasts, act: Act, point: Point) -> str | None:
    """Strike the command at a point; return the loss, if any."""
    orders = Orders(str(world.warehouse), point.nth, act, kind=point.kind)

    def run() -> None:
        ended = world.play(past.scenario, orders)
        if not ended.exit_code and point.nth > 1:
            return  # this time it had fewer of them: its threads do not always meet
        if act is Act.KILL and not ended.was_killed:
            raise Lost(f"it was not killed, but ended with {ended.exit_code}: {ended.stderr}")
        if act is not Act.KILL:
            _check_refusal(world, ended, point)

    return survive(world, past, run, f"{act} at {point}")


def points_of(passed: Iterable[str]) -> list[Point]:
    """The write points that a command has passed."""
    seen: Counter[str] = Counter()
    points = []
    for kind in map(kind_of, passed):
        seen[kind] += 1
        points.append(Point(kind, seen[kind]))
    return points


def of_each_kind(points: Iterable[Point]) -> list[Point]:
    """The first point of each kind."""
    return [point for point in points if point.nth == 1]


def survive(world: World, pasts: Pasts, disaster: Callable[[], None], name: str) -> str | None:
    """Lay out the past, let a disaster happen, and go on; tell what was lost, if anything."""
    past = pasts[world.folder]
    try:
        past.lay_out(world)
        disaster()
        check_after(world, past)
    except Exception as error:  # noqa: BLE001  the other points must still be tried
        return f"{past.scenario.name}, {name}: {type(error).__name__}: {error}"
    return None


def check_after(world: World, past: Past) -> None:
    """All tables are readable, the next run asks for what is missing, and nothing is lost."""
    scenario = past.scenario
    check_readable(
        world.warehouse, past.before, unreadable=scenario.unreadable, moving=scenario.moving
    )
    kept = received(world.warehouse)
    # Answers in flight during the disaster are requested again and must be the same again, or they
    # would differ from the undisturbed run's.
    world.recall(kept.by_task_id)
    asked_before = world.asked()
    ended = world.run(*INGEST)
    if ended.has_failed:
        raise Lost(f"the next run ends with {ended.exit_code}: {ended.stderr or ended.stdout}")
    asked = {
        task_id: count - asked_before.get(task_id, 0)
        for task_id, count in world.asked().items()
        if count > asked_before.get(task_id, 0)
    }
    check_asked(asked, world.given, kept.settled)
    go_on(world, scenario)
    check_final(world.warehouse, past.undisturbed, scenario.not_compared)


def go_on(world: World, scenario: Scenario) -> None:
    """Run until all tasks have finished."""
    world.settle()
    for command in scenario.afterwards:
        ended = world.run(*command)
        if ended.has_failed:
            raise Lost(f"{command[0]} fails afterwards: {ended.stderr}")


def _check_refusal(world: World, ended: Ended, point: Point) -> None:
    """A failing disk ends the run with one message, the right exit code and a true account."""
    operation, _, name = point.kind.partition(" ")
    said = ended.stdout + ended.stderr
    if "Traceback" in said or ended.exit_code < 0:
        raise Lost(f"it ended with {ended.exit_code} and a traceback: {said}")
    if ended.exit_code == 0 and operation in HARMLESS:
        return
    expected = 2 if point.kind == "mkdir ." or name.startswith(".lock") else 4
    if ended.exit_code != expected or len(MESSAGE.findall(said)) != 1:
        raise Lost(f"it ended with {ended.exit_code}, not {expected}, and said: {said}")
    if ended.stdout.startswith("{"):
        summary = ended.summary()
        kept = received(world.warehouse).by_run.get(summary["run_id"], 0)
        if summary["fetched"] + summary["rejected"] != kept:
            raise Lost(f"{kept} answers were kept, but the account differs: {summary}")
