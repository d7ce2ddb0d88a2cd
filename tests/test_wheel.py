"""What a user has who installs the wheel and has no clone: command line, server, runs, tables."""

from __future__ import annotations

import signal
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import KEY
from dockerfile import replay
from prefect_harness import PROJECT, Prefect
from servers import free_port
from test_deployment import answers, wait_for

from connector.sandbox import task_ids
from flows.files import NAMES, write_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.sandbox import Sandbox

SERVE = """\
from flows.ingest import ingest_generations

if __name__ == "__main__":
    ingest_generations.serve(name="served")
"""
# Each way to start runs, and the deployment that it makes.
WAYS = {
    "python serve.py": "served",
    "prefect flow serve flows.ingest:ingest_generations --name flow-served": "flow-served",
    "prefect worker start --pool luma": "deployed",
}


class Installed:
    """The wheel in an environment and a folder of its own, as `deploy/Dockerfile` installs it.

    Attributes:
        folder: Where commands run.
        prefect: The server, once it is started.
    """

    def __init__(self, root: Path, base_url: str) -> None:
        self.environment = {
            **replay(PROJECT / "deploy/Dockerfile", PROJECT, root),
            "LUMAAI_API_KEY": KEY,
            "LUMA_BASE_URL": base_url,
            "PREFECT_SERVER_API_PORT": str(port := free_port()),
            "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        }
        self.folder = root / "site"
        self.prefect = Prefect(
            self.environment["PREFECT_API_URL"], Path(self.environment["PREFECT_HOME"])
        )

    def run(self, command: str) -> str:
        """Run a command to its end, and return what it prints."""
        done = subprocess.run(
            command.split(),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, command: str) -> Iterator[None]:
        """Keep a command running for this block; then end it as Ctrl-C does."""
        with (self.folder / f"{'-'.join(command.split()[:2])}.log").open("wb") as log:
            process = subprocess.Popen(
                command.split(), cwd=self.folder, env=self.environment, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(180)


@pytest.fixture
def installed(running_sandbox: Sandbox, tmp_path: Path) -> Installed:
    return Installed(tmp_path, running_sandbox.base_url)


@pytest.mark.slow
@pytest.mark.prefect
def test_without_a_clone_every_way_to_start_a_run_fills_tables(installed: Installed) -> None:
    """`serve`, `prefect flow serve`, and `prefect deploy` with a worker; and the project's YAML."""
    (installed.folder / "serve.py").write_text(SERVE)
    assert {*NAMES} <= {path.name for path in installed.folder.iterdir()}
    with ExitStack() as running:
        running.enter_context(installed.running("prefect server start"))
        wait_for(lambda: answers(f"{installed.prefect.api_url}/health"))
        installed.run("prefect work-pool create luma --type process")
        installed.run("prefect --no-prompt deploy --all")
        installed.run("prefect automation create --from-file automations.yaml")
        installed.run(
            "prefect --no-prompt deploy flows.ingest:ingest_generations --name deployed --pool luma"
        )
        for way in WAYS:
            running.enter_context(installed.running(way))
        ids = {name: task_ids(20, seed=seed) for seed, name in enumerate(WAYS.values())}
        for name, given in ids.items():
            deployed = wait_for(lambda name=name: deployment(installed.prefect, name))
            url = f"{installed.prefect.api_url}/deployments/{deployed}/create_flow_run"
            parameters = {"task_ids": given, "warehouse": str(installed.folder / name)}
            # A busy server with SQLite may answer 503 or late; of one key it makes one run.
            body = {"parameters": parameters, "idempotency_key": name}
            wait_for(lambda url=url, body=body: created(url, body))
        for name, given in ids.items():
            state = wait_for(lambda name=name: end_of_run(installed.prefect, name))
            assert state["name"] == "Completed", state["message"]
            read = f"import connector;print(*connector.read('generations','{name}').task_id)"
            (installed.folder / "read.py").write_text(read)
            assert sorted(installed.run("python read.py").split()) == sorted(given)


def created(url: str, body: object) -> bool:
    try:
        return requests.post(url, json=body, timeout=30).ok
    except requests.Timeout:
        return False


def deployment(prefect: Prefect, name: str) -> str | None:
    """The ID of a deployment, once it is there."""
    chosen = {"deployments": {"name": {"any_": [name]}}}
    found = prefect.ask("POST", "deployments/filter", chosen)
    return found[0]["id"] if found else None


def end_of_run(prefect: Prefect, name: str) -> dict[str, str] | None:
    """The state in which a deployment's run has ended, once it has."""
    chosen = {
        "deployments": {"name": {"any_": [name]}},
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}},
    }
    ended = prefect.ask("POST", "flow_runs/filter", chosen)
    return ended[0]["state"] if ended else None


def test_the_files_are_those_of_the_clone_and_replace_nothing(tmp_path: Path) -> None:
    paths = write_files(tmp_path / "new/site")
    assert [path.read_bytes() for path in paths] == [
        (PROJECT / name).read_bytes() for name in NAMES
    ]
    paths[0].unlink()
    with pytest.raises(FileExistsError, match=r"automations\.yaml exists"):
        write_files(tmp_path / "new/site")
    assert not paths[0].exists()
