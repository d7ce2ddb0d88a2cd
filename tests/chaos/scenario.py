"""A small world: a gateway, a warehouse with a past, and command lines that change it."""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import pandas as pd
from chaos.checks import received
from chaos.forks import Ended, Forks, Job
from chaos.killer import Orders
from sandbox_client import Client

from connector.sandbox import Sandbox, SandboxSettings, task_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

KEY: Final = "luma-chaos-key"
EARLIER: Final = [
    *task_ids(12, seed=1),
    "bad-not-found-1",
    "first2-server-error-1",
    "once-missing-time-1",
]
MIDDLE: Final = task_ids(5, seed=2)
LATER: Final = [
    *task_ids(12, seed=3),
    "bad-gone-1",
    "bad-missing-time-1",
    "once-server-error-1",
    "bad-object-200-1",
]
INGEST: Final = ("ingest", "ids.txt", "--json", "--max-concurrency", "1")
# Runs that are enough for all tasks to finish and all temporary faults to pass.
MOST_RUNS: Final = 5

# Constants of the connector, small enough for a few rows to spill and commit mid-run.
SMALL: Final = {
    "connector.run.run:COMMIT_ANSWERS": 12,
    "connector.warehouse.inbox:GROUP_BYTES": 10_000,
    "connector.warehouse.spill:MEMORY_BYTES": 4_000,
    "connector.warehouse.spill:CHUNK_ROWS": 4,
}

# For commands whose marts are covered by another scenario.
WITHOUT_MARTS: Final = {"LUMA_MARTS": "false"}


@dataclass(frozen=True, slots=True)
class Scenario:
    """A command on a warehouse with a past.

    Attributes:
        prepare: Creates the past.
        patches: Constants for the struck command.
        environment: Added to the world's for that command.
        afterwards: Commands to run after the next runs have fetched everything.
        unreadable: Tables that were damaged before.
        moving: Task IDs that the command moves to another partition.
        not_compared: Tables that may differ from an undisturbed run's.
    """

    name: str
    command: tuple[str, ...]
    prepare: Callable[[World], None]
    patches: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    afterwards: tuple[tuple[str, ...], ...] = ()
    unreadable: tuple[str, ...] = ()
    moving: tuple[str, ...] = ()
    not_compared: tuple[str, ...] = ()


class World:
    """A folder, its own gateway, and a process that forks command lines.

    Attributes:
        given: All task IDs: a few with a past, and `more` others.
    """

    def __init__(self, folder: Path, more: int = 0) -> None:
        self.folder = folder
        self.given = [*EARLIER, *MIDDLE, *LATER, *task_ids(more, seed=4)]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        lists = {
            "done.txt": ["bad-not-found-1"],
            "earlier.txt": EARLIER,
            "middle.txt": [*EARLIER, *MIDDLE],
            "ids.txt": ["# all of them", *self.given, "", LATER[0], " " + LATER[1]],
        }
        for name, lines in lists.items():
            (self.folder / name).write_text("\n".join(lines))
        settings = SandboxSettings(key=KEY, unfinished=0.4, polls=1)
        self.sandbox = self._open.enter_context(Sandbox(settings))
        self._forks = self._open.enter_context(Forks())
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("LUMA")},
            "LUMAAI_API_KEY": KEY,
            "LUMA_BASE_URL": self.sandbox.base_url,
            "LUMA_MAX_ATTEMPTS": "1",
            "LUMA_BATCH_SIZE": "8",
            # The gateway's present is fixed, in the past.
            "LUMA_GIVE_UP_AFTER": "P36500D",
            "COLUMNS": "200",
        }
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._open.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def warehouse(self) -> Path:
        """Folder of the warehouse."""
        return self.folder / "warehouse"

    def run(
        self, *arguments: str, orders: Orders | None = None, clock_seconds: float = 0.0
    ) -> Ended:
        """Run a command line in the folder, with a clock that is this much ahead."""
        job = Job(arguments, str(self.folder), self.environment, orders)
        return self._forks.run(replace(job, clock_seconds=clock_seconds))

    def play(self, scenario: Scenario, orders: Orders) -> Ended:
        """Run a scenario's command under the killer."""
        environment = {**self.environment, **scenario.environment}
        return self._forks.run(
            Job(scenario.command, str(self.folder), environment, orders, scenario.patches)
        )

    def asked(self) -> dict[str, int]:
        """Requests to the gateway for each task ID."""
        counts: dict[str, int] = self.sandbox.stats()["by_task_id"]
        return counts

    def recall(self, asked: Mapping[str, int]) -> None:
        """Reset the gateway and repeat these requests, so that its tasks progress likewise."""
        self.sandbox.reset()
        with Client(self.sandbox.base_url) as client:
            for task_id, times in asked.items():
                for _ in range(times):
                    client.get(
                        f"/dream-machine/v1/generations/{task_id}",
                        {"Authorization": f"Bearer {KEY}"},
                    )

    def settle(self) -> None:
        """Run until all tasks have finished and all temporary faults have passed."""
        for _ in range(MOST_RUNS):
            if received(self.warehouse).settled.issuperset(self.given):
                return
            ended = self.run(*INGEST)
            assert not ended.has_failed, ended.stderr
        raise AssertionError("the tasks do not come to an end")


def no_past(_: World) -> None:
    """No warehouse yet."""


def grown(world: World) -> None:
    """Several partitions, unfinished and rejected tasks, a batch left in the inbox."""
    _run(world, "ingest", "earlier.txt")
    struck = world.run(
        "ingest", "middle.txt", orders=Orders(str(world.warehouse), at="open .tmp/generations")
    )
    assert struck.was_killed
    assert list((world.warehouse / "inbox").iterdir())


def logged(world: World) -> None:
    """Everything ingested; a compacted log, and small files after it."""
    _run(world, "ingest", "earlier.txt")
    _run(world, "ingest", "middle.txt")
    _run(world, "compact")
    world.settle()


def outdated(world: World) -> None:
    """Rows that a rebuild changes: filed under an unknown time, or without a newer column."""
    logged(world)
    _run(world, "ingest", "earlier.txt", "--refresh")
    path = max((world.warehouse / "generations").rglob("*=2025-*/*.parquet"))
    pd.read_parquet(path, partitioning=None).drop(columns="megapixels").to_parquet(path)


def damaged(world: World) -> None:
    """A truncated partition file."""
    grown(world)
    path = max((world.warehouse / "generations").rglob("*=2025-*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-40])


def _run(world: World, *arguments: str) -> None:
    ended = world.run(*arguments)
    assert not ended.has_failed, ended.stderr


SCENARIOS: Final = {
    scenario.name: scenario
    for scenario in (
        Scenario("first run", INGEST, no_past),
        Scenario("later run", INGEST, grown),
        Scenario("run that spills", INGEST, grown, SMALL, WITHOUT_MARTS),
        Scenario("compact", ("compact",), logged, afterwards=(("compact",),)),
        Scenario(
            "rebuild",
            ("rebuild",),
            outdated,
            afterwards=(("rebuild",),),
            moving=("once-missing-time-1",),
        ),
        Scenario(
            "repair",
            ("ingest", "done.txt"),
            damaged,
            environment=WITHOUT_MARTS,
            unreadable=("generations",),
        ),
    )
}
