"""What the README says of a schedule, done as it says; and what happens when a worker is killed.

All of it on a server of its own, which is why these tests need not wait for those of the flow.
"""

from __future__ import annotations

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import requests
from conftest import KEY
from prefect_harness import Prefect, clone_into
from servers import free_port

from connector.sandbox import task_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from connector.sandbox import Sandbox

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Put it on a schedule")[2].partition("\n## ")[0]
BLOCK = SECTION.partition("```sh\n")[2].partition("```")[0]
COMMANDS = BLOCK.replace("\\\n", "").splitlines()

EVERY_QUARTER = '- cron: "*/15 * * * *"\n        timezone: UTC\n'
EVERY_TEN_SECONDS = "- interval: 10\n"
SCHEDULED = "ingest-generations/ingest-every-15-minutes"
WEEKLY = "ingest-generations/refresh-weekly"
BACKFILL = "ingest-generations/backfill"

# How long to wait for what must come.
SECONDS = 240.0


@dataclass
class Site:
    """A clone, a server and a worker, as a user has them."""

    clone: Path
    environment: dict[str, str]
    prefect: Prefect
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, command: str) -> str:
        """Run a command to its end, with nobody there to answer questions."""
        done = subprocess.run(
            shlex.split(command, comments=True),
            cwd=self.clone,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start_server(self) -> None:
        """The command that keeps a server running; wait until it answers."""
        self._start("server", COMMANDS[1])
        wait_for(lambda: answers(f"{self.prefect.api_url}/health"))

    def start_worker(self) -> None:
        """The command that keeps a worker running."""
        self._start("worker", COMMANDS[-1])

    def _start(self, name: str, command: str) -> None:
        with (self.clone.parent / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                shlex.split(command, comments=True),
                cwd=self.clone,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def cut_power(self) -> None:
        """Kill the server, the worker, and the run that it has started."""
        for process in self.running.values():
            kill(process.pid)
            process.wait(SECONDS)

    def stop(self) -> None:
        """As Ctrl-C does."""
        for process in reversed(self.running.values()):
            process.send_signal(signal.SIGINT)
            process.wait(SECONDS)

    def log(self, flow_run_id: str) -> list[str]:
        """What a run has logged; a worker sends it in the background."""
        chosen = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "TIMESTAMP_ASC"}
        return [line["message"] for line in self.prefect.ask("POST", "logs/filter", chosen)]

    def is_watched(self, flow_run_id: str) -> bool:
        """Whether an automation has noted that it waits for a sign of life.

        The server keeps events on their way there in memory, and no route tells.
        """
        database = f"file:{self.prefect.home / 'prefect.db'}?mode=ro"
        with closing(sqlite3.connect(database, uri=True, timeout=SECONDS)) as connection:
            keys = connection.execute("SELECT bucketing_key FROM automation_bucket").fetchall()
        return any(flow_run_id in key for (key,) in keys)

    def flow_runs(self, deployment: str, *states: str) -> list[dict[str, Any]]:
        """Runs of a deployment that are in a state of one of these names, oldest first."""
        chosen = {
            "deployments": {"name": {"any_": [deployment.partition("/")[2]]}},
            "flow_runs": {"state": {"name": {"any_": list(states)}}},
            "sort": "START_TIME_ASC",
        }
        found: list[dict[str, Any]] = self.prefect.ask("POST", "flow_runs/filter", chosen)
        return found


def wait_for(condition: Callable[[], Any]) -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def site(running_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The commands of the README, one after the other."""
    clone = clone_into(tmp_path_factory.mktemp("site") / "clone")
    (clone / ".env").write_text(f"LUMAAI_API_KEY={KEY}\nLUMA_BASE_URL={running_sandbox.base_url}\n")
    shorten(clone / "prefect.yaml", EVERY_QUARTER, EVERY_TEN_SECONDS)
    shorten(clone / "automations.yaml", "threshold: 3", "threshold: 1")
    shorten(clone / "automations.yaml", "within: 600", "within: 75")
    port = free_port()
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFECT_HOME": str(clone.parent / "home"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # the least that there is
        # How often is looked, and nothing else.
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "PREFECT_SERVER_DEPLOYMENTS_CONCURRENCY_SLOT_WAIT_SECONDS": "1",
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
    }
    home = Path(environment["PREFECT_HOME"])
    site = Site(clone, environment, Prefect(environment["PREFECT_API_URL"], home))
    try:
        configure, _serve, *prepare, _work = COMMANDS
        site.run(configure)
        site.start_server()
        for command in prepare:
            site.run(command)
        site.start_worker()
        yield site
    finally:
        site.stop()


def shorten(path: Path, long: str, short: str) -> None:
    text = path.read_text()
    assert long in text
    path.write_text(text.replace(long, short))


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_the_commands_of_the_readme_put_it_on_a_schedule(site: Site) -> None:
    """Five commands, none of which asks anything; then the scheduler starts a run."""
    assert [command.split()[1] for command in COMMANDS] == [
        "config",
        "server",
        "work-pool",
        "deploy",
        "worker",
    ]
    first = wait_for(lambda: site.flow_runs(SCHEDULED, "Completed"))[0]
    assert first["auto_scheduled"]
    assert first["name"].startswith("task_ids.txt, 20")
    assert len(pd.read_parquet(site.clone / "data/warehouse/generations")) == 500

    deployment = site.prefect.ask("GET", f"deployments/name/{SCHEDULED}")
    assert deployment["global_concurrency_limit"]["limit"] == 1
    assert deployment["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    weekly = site.prefect.ask("GET", f"deployments/name/{WEEKLY}")
    assert weekly["parameters"]["retry_rejected"] is True
    assert weekly["schedules"][0]["schedule"]["cron"] == "40 3 * * 0"
    site.prefect.ask("POST", f"deployments/{deployment['id']}/pause_deployment")
    backfill = site.prefect.ask("GET", f"deployments/name/{BACKFILL}")
    assert backfill["schedules"] == []
    assert backfill["concurrency_options"]["collision_strategy"] == "ENQUEUE"


def test_a_schedule_that_stops_early_is_paused_by_the_automation(site: Site) -> None:
    """The event is the state's name; and the log says why it stopped, not where Prefect did."""
    site.run("prefect automation create --from-file automations.yaml")
    site.run(f"prefect deployment run {WEEKLY} --param 'task_ids=[\"bad-unauthorized-1\"]'")
    (stopped,) = wait_for(lambda: site.flow_runs(WEEKLY, "StoppedEarly"))
    assert stopped["state"]["type"] == "FAILED"
    wait_for(lambda: site.prefect.ask("GET", f"deployments/name/{WEEKLY}")["paused"])

    log = wait_for(lambda: ended(site.log(stopped["id"])))
    assert len([line for line in log if "refused the key" in line]) == 1
    assert not [line for line in log if "Traceback" in line or KEY in line]


def ended(log: list[str]) -> list[str]:
    """A log, once its last line is there."""
    return log if any(line.startswith("StoppedEarly: ") for line in log) else []


def test_a_power_cut_loses_nothing(site: Site, sandbox: Sandbox) -> None:
    """And its run is called crashed, and its slot and its turn are free again, without a hand."""
    ids = task_ids(300, seed=6)
    (site.clone / "data/many.txt").write_text("\n".join(ids))
    given = "--param task_ids=data/many.txt --param warehouse=data/killed --param batch_size=50"
    sandbox.change(latency=1.5)
    site.run(f"prefect deployment run {BACKFILL} {given} --param max_concurrency=12")
    inbox = site.clone / "data/killed/inbox"
    wait_for(lambda: sorted(inbox.glob("*.parquet")))
    sandbox.change(latency=25.0)  # it must not end before it is watched
    (running,) = site.flow_runs(BACKFILL, "Running")
    wait_for(lambda: site.is_watched(running["id"]))
    site.cut_power()
    sandbox.change(latency=0.0)
    received = pd.concat(map(pd.read_parquet, inbox.glob("*.parquet")))
    finished = received.task_id[received.status.isin(["completed", "failed"])]
    assert 0 < len(finished) < len(ids)

    site.start_server()
    site.start_worker()
    site.run(f"prefect deployment run {BACKFILL} {given}")
    (crashed,) = wait_for(lambda: site.flow_runs(BACKFILL, "Crashed"))
    assert "no sign of life" in crashed["state"]["message"]
    wait_for(lambda: site.flow_runs(BACKFILL, "Completed"))
    answers = pd.read_parquet(site.clone / "data/killed/answers").task_id.value_counts()
    assert set(answers[list(finished)]) == {1}, "what was received and finished is not asked again"
    assert sorted(pd.read_parquet(site.clone / "data/killed/generations").task_id) == sorted(ids)


def kill(pid: int) -> None:
    """Kill a process and its children, which lead sessions of their own."""
    children = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    for each in (pid, *map(int, children)):
        os.kill(each, signal.SIGKILL)
