"""What most tests share: a real gateway on loopback, and the command line."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from builders import example

from connector.sandbox import Sandbox, SandboxSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytest_plugins = ["prefect_harness"]

KEY = "luma-test-key-b8f1"
DOCUMENTED_ID = "4b3c464e-94f6-4e54-bc21-12f0e6da5791"

CommandLine = "Callable[..., subprocess.CompletedProcess[str]]"


def read_terminal(controller: int) -> bytes:
    """All that programs show on a terminal, until the last one closes it."""
    seen = b""
    while select.select([controller], [], [], 60)[0]:
        try:
            seen += os.read(controller, 65536)
        except OSError:  # the other end is closed
            break
    os.close(controller)
    return seen


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    settings = SandboxSettings(
        key=KEY,
        now=datetime.now(UTC).replace(microsecond=0),
        fixtures={DOCUMENTED_ID: example("completed")},
        slow_seconds=0.1,
        drip_seconds=0.2,
    )
    with Sandbox(settings) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running_sandbox: Sandbox) -> Sandbox:
    """The gateway, with every count at zero and every task at its start."""
    running_sandbox.reset()
    return running_sandbox


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """A user's environment: a key, a gateway, a home of their own."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LUMA")},
        "HOME": str(tmp_path),
        "LUMAAI_API_KEY": KEY,
        "LUMA_BASE_URL": sandbox.base_url,
        "LUMA_WAREHOUSE": "warehouse",
        "COLUMNS": "100",
    }


@pytest.fixture
def cli(environment: dict[str, str], tmp_path: Path) -> CommandLine:
    """Run `luma-to-parquet` in an empty folder."""

    def run(*arguments: object, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "connector", *map(str, arguments)],
            cwd=tmp_path,
            env={**environment, **more},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run
