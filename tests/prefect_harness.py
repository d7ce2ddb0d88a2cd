"""A Prefect home that no other has, and one real server in it for all tests that need one.

Prefect reads its environment when it is imported. So this is a plugin, which is loaded before any
test that imports a flow, and it imports Prefect where it is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

PROJECT = Path(__file__).parent.parent
PARTS_OF_A_CLONE = (
    "connector",
    "flows",
    "data/task_ids.txt",
    "data/examples",
    "prefect.yaml",
    "automations.yaml",
)


def pytest_configure() -> None:
    """Forget the user's Prefect and key, in this process and in those that it starts."""
    for name in [name for name in os.environ if name.startswith(("PREFECT_", "LUMA"))]:
        del os.environ[name]
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="prefect-home-")
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    os.environ["DO_NOT_TRACK"] = "1"


def pytest_unconfigure() -> None:
    """Remove what the server has written."""
    shutil.rmtree(os.environ["PREFECT_HOME"], ignore_errors=True)


@dataclass(frozen=True)
class Prefect:
    """A running server, and what it knows."""

    api_url: str
    home: Path

    def flow_run(self, flow_run_id: UUID | str) -> dict[str, Any]:
        """A flow run as the API has it."""
        found: dict[str, Any] = self.ask("GET", f"flow_runs/{flow_run_id}")
        return found

    def artifacts(self, flow_run_id: UUID | str) -> dict[str, Any]:
        """What a flow run shows, by key, or by type where there is none."""
        chosen = {"artifacts": {"flow_run_id": {"any_": [str(flow_run_id)]}}}
        return {
            one["key"] or one["type"]: one for one in self.ask("POST", "artifacts/filter", chosen)
        }

    def log(self, flow_run_id: UUID | str) -> list[str]:
        """What a flow run and its tasks have logged, in this process."""
        return [message for _, message in self.leveled_log(flow_run_id)]

    def leveled_log(self, flow_run_id: UUID | str) -> list[tuple[int, str]]:
        """The same, with the level of each line."""
        from prefect.logging.handlers import APILogWorker  # noqa: PLC0415  see above

        APILogWorker.drain_all(timeout=60)
        chosen = {"logs": {"flow_run_id": {"any_": [str(flow_run_id)]}}, "sort": "TIMESTAMP_ASC"}
        lines = self.ask("POST", "logs/filter", chosen)
        return [(line["level"], line["message"]) for line in lines]

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the API."""
        answer = requests.request(method, f"{self.api_url}/{path}", json=body, timeout=90)
        assert answer.ok, answer.text
        return answer.json()

    def command(self, *arguments: str, cwd: Path, **more: str) -> str:
        """Run `prefect` against this server, and return what it prints."""
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=cwd,
            env=self.environment(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        """What a process needs to use this server."""
        return {**os.environ, "PREFECT_API_URL": self.api_url, **more}


@pytest.fixture(scope="session")
def prefect() -> Iterator[Prefect]:
    """One server for the session; on two busy cores its start takes half a minute."""
    from flows.local import prefect_api  # noqa: PLC0415  see above

    with prefect_api(lambda _: None) as api_url:
        yield Prefect(api_url, Path(os.environ["PREFECT_HOME"]))
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{api_url}/health", timeout=5)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The project's files in a folder of their own, without what a run has left in them."""
    return clone_into(tmp_path / "clone")


def clone_into(folder: Path) -> Path:
    """Copy them there."""
    for part in PARTS_OF_A_CLONE:
        source, target = PROJECT / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder
