"""Kills real process groups at random times.

Two doors: the command line, and the Prefect flow. Afterwards the same must hold as in `crashes`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import requests
from chaos.checks import Lost
from chaos.crashes import survive
from chaos.forks import PATIENCE_SECONDS, TESTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from chaos.budget import Budget
    from chaos.crashes import Crew, Pasts
    from chaos.scenario import World

OWNER: Final = ".lock-owner.json"
LOOK_UP_SECONDS: Final = 0.002
# At most this many tries for each kill that there must be.
MORE: Final = 3

_FLOW: Final = """\
import sys
from flows.ingest import ingest_generations
done = ingest_generations("ids.txt", "warehouse", batch_size=50, key_block=None, return_state=True)
sys.exit(not done.is_completed())
"""


@dataclass(frozen=True, slots=True)
class Door:
    """A way to run the pipeline in its own process.

    Attributes:
        forget: Clears the traces of a killed run that would delay the next one.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    forget: Callable[[], None] = lambda: None


COMMAND_LINE: Final = Door(
    "command line",
    (sys.executable, "-m", "connector", "ingest", "ids.txt"),
    {"LUMA_BATCH_SIZE": "5"},
)


@contextmanager
def flow_door(folder: Path) -> Iterator[Door]:
    """The flow, with its own Prefect server; call it before Prefect is imported."""
    if "prefect" in sys.modules:
        raise RuntimeError("Prefect has read its environment already")
    settings = {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_LOGGING_LEVEL": "WARNING",
    }
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(settings)
    from flows.local import prefect_api  # noqa: PLC0415  reads the environment

    with prefect_api(lambda _: None) as url:
        yield Door(
            "flow",
            (sys.executable, "-c", _FLOW),
            {**settings, "PREFECT_API_URL": url, "PYTHONPATH": str(TESTS.parent)},
            partial(_free_turns, url),
        )


def _free_turns(url: str) -> None:
    """Free the turn that a killed run keeps for another minute."""
    limits = requests.post(f"{url}/v2/concurrency_limits/filter", json={}, timeout=60).json()
    for limit in limits:
        requests.delete(f"{url}/v2/concurrency_limits/{limit['id']}", timeout=60)


@dataclass(slots=True)
class Kills:
    """Result of kills at random times.

    Attributes:
        done: Kills of a live process that held the warehouse.
        lost: A sentence for each broken promise.
    """

    done: int
    lost: list[str]


def kill_at_random(
    crew: Crew, past: Pasts, door: Door, budget: Budget, seed: int | str = 0
) -> Kills:
    """Kill runs, each at a random moment after it took the warehouse's lock."""
    with crew.lent() as world:
        span = _span(world, past, door)
    draw = random.Random(seed)
    found = Kills(0, [])

    def moments() -> Iterator[float]:
        for _ in range(MORE * budget.least):  # some come too late
            if found.done >= budget.least:
                break
            yield draw.uniform(0, span)
        yield from budget.rest(iter(lambda: draw.uniform(0, span), None))

    def strike(world: World, moment: float) -> None:
        hits: list[bool] = []

        def run() -> None:
            hits.append(_kill_after(world, door, moment))

        lost = survive(world, past, run, f"{door.name} killed {moment:.3f} s after its start")
        found.done += any(hits)
        found.lost += [lost] if lost else []

    crew.each(strike, moments())
    return found


def _span(world: World, past: Pasts, door: Door) -> float:
    """Seconds that an undisturbed run holds the warehouse."""
    past[world.folder].lay_out(world)
    process = _start(world, door)
    _await_owner(world, process, lambda: None)
    started = time.monotonic()
    process.wait(PATIENCE_SECONDS)
    if process.returncode:
        raise Lost(f"{door.name} fails undisturbed: {(world.folder / 'log').read_text()[-2000:]}")
    return time.monotonic() - started


def _kill_after(world: World, door: Door, seconds: float) -> bool:
    """Start a run and kill it; return whether it was still alive."""
    door.forget()
    process = _start(world, door)
    _await_owner(world, process, lambda: time.sleep(seconds))
    with suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait(PATIENCE_SECONDS) == -signal.SIGKILL


def _start(world: World, door: Door) -> subprocess.Popen[bytes]:
    with (world.folder / "log").open("wb") as log:
        return subprocess.Popen(
            door.command,
            cwd=world.folder,
            env={**world.environment, **door.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await_owner(world: World, process: subprocess.Popen[bytes], then: Callable[[], None]) -> None:
    """Wait until the process holds the warehouse, or ended."""
    owner, marker = world.warehouse / OWNER, f'"pid": {process.pid},'
    while process.poll() is None:
        if owner.exists() and marker in owner.read_text():
            then()
            return
        time.sleep(LOOK_UP_SECONDS)
