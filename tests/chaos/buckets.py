"""A world with its warehouse in a bucket: writers killed between requests, a failing store.

A run changes a bucket only by requests, which the proxy counts, so a process is killed before each
of them. Afterwards the same must hold as on a disk; it is checked in a copy of the bucket.
"""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from chaos.checks import Lost, Tables, check_final, comparable, read_all
from chaos.crashes import check_after, go_on
from chaos.killer import kind_of
from chaos.scenario import SCENARIOS, Scenario, World
from s3 import Fault, Proxy, Request, Rule, S3Server, failing_at_random, killing_at

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PREFIX: Final = "luma-chaos/some/where"
STOPPED: Final = 4


class BucketWorld(World):
    """A world whose warehouse is in a bucket on its own server, behind a proxy."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.server = self._open.enter_context(S3Server())
        self.proxy = self._open.enter_context(Proxy(self.server.url))
        self.server.make_bucket(PREFIX.partition("/")[0])
        self.environment |= self.server.environment(self.proxy.url)
        self.environment["LUMA_WAREHOUSE"] = f"s3://{PREFIX}"
        return self

    @property
    def warehouse(self) -> Path:
        """A copy of the bucket's current contents."""
        copy = super().warehouse
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        if self.server.names(PREFIX):
            self.server.download(PREFIX, copy)
        for folder in sorted(copy.rglob("*"), reverse=True):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()  # made from an object that marks an empty folder
        shutil.rmtree(copy / ".lock", ignore_errors=True)
        return copy

    def lay_out(self, snapshot: Path | None) -> None:
        """Fill the bucket from a copy of it; None empties it."""
        self.proxy.reset()
        self.server.empty(PREFIX)
        if snapshot:
            self.server.upload(snapshot, PREFIX)


def grown_in_bucket(world: World) -> None:
    """Like `scenario.grown`: tables with several partitions, and a batch left in the inbox."""
    assert isinstance(world, BucketWorld)
    ended = world.run("ingest", "earlier.txt")
    assert not ended.has_failed, ended.stderr
    world.proxy.reset(_kill_at_generations)
    assert world.run("ingest", "middle.txt").was_killed
    world.proxy.reset()
    assert list((world.warehouse / "inbox").iterdir())


def _kill_at_generations(request: Request) -> Fault | None:
    is_it = request.method == "PUT" and "/generations/" in request.target
    return Fault(kill=True) if is_it else None


STORED: Final = {
    name: replace(SCENARIOS[name], prepare=grown_in_bucket)
    if name == "later run"
    else SCENARIOS[name]
    for name in ("first run", "later run", "compact", "rebuild")
}


@dataclass(frozen=True)
class BucketPast:
    """A scenario played undisturbed; see `crashes.Past`."""

    scenario: Scenario
    snapshot: Path | None
    asked: dict[str, int]
    before: Tables
    points: list[str]
    undisturbed: Tables


def make_bucket_past(world: BucketWorld, scenario: Scenario) -> BucketPast:
    """Play a scenario undisturbed."""
    world.lay_out(None)
    world.sandbox.reset()
    scenario.prepare(world)
    asked, snapshot, before = world.asked(), None, {}
    if world.server.names(PREFIX):
        snapshot = world.folder / scenario.name
        shutil.copytree(world.warehouse, snapshot)
        before = read_all(snapshot, scenario.unreadable)
        world.lay_out(snapshot)  # without a dead writer's lock
    world.recall(asked)
    world.proxy.reset()
    ended = world.run(*scenario.command)
    if ended.has_failed:
        raise Lost(f"{scenario.name} fails though nothing disturbs it: {ended.stderr}")
    points = [str(request) for request in world.proxy.seen]
    go_on(world, scenario)
    copy = world.warehouse
    undisturbed = comparable(read_all(copy))
    check_final(copy, undisturbed)
    return BucketPast(scenario, snapshot, asked, before, points, undisturbed)


def kill_at_request(world: BucketWorld, past: BucketPast, number: int) -> str | None:
    """Kill the command before a request, counted from 1; return the loss, if any."""
    with _catching_losses(past, f"killed before {past.points[number - 1]}") as lost:
        _lay_out(world, past, killing_at(number))
        ended = world.run(*past.scenario.command)
        if not ended.was_killed:
            raise Lost(f"it was not killed, but ended with {ended.exit_code}: {ended.stderr}")
        _go_on(world, past)
    return lost[0] if lost else None


def of_each_kind(points: Sequence[str], draw: random.Random) -> list[int]:
    """For each kind of request, the number of one of them, in a random order."""
    found: dict[str, list[int]] = {}
    for number, point in enumerate(points, 1):
        found.setdefault(kind_of(point), []).append(number)
    numbers = [draw.choice(some) for some in found.values()]
    draw.shuffle(numbers)
    return numbers


def fail_at_random(world: BucketWorld, past: BucketPast, seed: int, share: float) -> str | None:
    """Run the command while a share of the requests fails; return the loss, if any."""
    with _catching_losses(past, f"{share:.0%} of the requests fail, seed {seed}") as lost:
        _lay_out(world, past, failing_at_random(seed, share))
        ended = world.run(*past.scenario.command)
        if ended.exit_code not in {0, STOPPED} or "Traceback" in ended.stderr:
            raise Lost(f"it ended with {ended.exit_code}: {ended.stderr}")
        _go_on(world, past)
    return lost[0] if lost else None


@contextmanager
def _catching_losses(past: BucketPast, what: str) -> Iterator[list[str]]:
    lost: list[str] = []
    try:
        yield lost
    except Exception as error:  # noqa: BLE001  the other points must still be tried
        lost.append(f"{past.scenario.name}, {what}: {type(error).__name__}: {error}")


def _lay_out(world: BucketWorld, past: BucketPast, rule: Rule) -> None:
    world.lay_out(past.snapshot)
    world.recall(past.asked)
    world.proxy.reset(rule)


def _go_on(world: BucketWorld, past: BucketPast) -> None:
    world.proxy.reset()
    check_after(world, past)
