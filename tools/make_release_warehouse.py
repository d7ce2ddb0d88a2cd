# ruff: noqa: INP001  a script, not a package
"""Make the warehouses that a release leaves behind: tests/warehouses/VERSION/NAME.

Run it once before each release and commit what it makes; later versions must read, mend and go on
with these warehouses. The command line runs as it does for a user, against a gateway on loopback
that answers with the cases of tests/cases, among them those that a version gets wrong.

    python tools/make_release_warehouse.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))  # where the gateway is, which is no package

import case_gateway  # noqa: E402
from case_gateway import TASK_IDS, CaseGateway, generation  # noqa: E402

FOLDER: Final = ROOT / "tests/warehouses" / version("luma-to-parquet")
STOPPING: Final = ("stops the run", "key refused")
EVER: Final = "100000d"


def main() -> None:
    """Make all warehouses of this version."""
    if FOLDER.exists():
        raise SystemExit(f"{FOLDER} is there already, and a release's warehouses never change")
    with CaseGateway() as gateway:
        make_mixed(gateway)
        make_poisoned(gateway, "poisoned", f"{gateway.base_url}/wrong")
        make_poisoned(gateway, "poisoned_by_pages", f"{gateway.base_url}{case_gateway.WEB}")
        make_by_day(gateway)
    for path in FOLDER.glob("*/.*"):
        # Locks and drafts are of this machine, not of the warehouse.
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(FOLDER.iterdir()):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        sys.stdout.write(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB\n")


def make_mixed(gateway: CaseGateway) -> None:
    """By month: all cases, the examples, tasks not found, and unfinished ones that finish later."""
    expected = case_gateway.expected()
    stopping = [name for name, case in expected.items() if case["outcome"] in STOPPING]
    missing = [f"missing-{number}" for number in range(3)]
    slow = {"slow": "2025-05-01T08:00:00Z", "slow-without-a-time": None}
    for task_id, created_at in slow.items():
        gateway.tasks[task_id] = generation(task_id, "dreaming", created_at)
    given = [name for name in expected if name not in stopping]
    run("mixed", gateway.base_url, [*given, *case_gateway.examples(), *missing, *slow])
    for task_id, created_at in slow.items():
        told_later = created_at or "2025-05-02T08:00:00Z"
        gateway.tasks[task_id] = generation(task_id, "completed", told_later)
    run("mixed", gateway.base_url, list(slow))
    for name in stopping:
        run("mixed", gateway.base_url, [name])


def make_poisoned(gateway: CaseGateway, name: str, wrong_url: str) -> None:
    """Every task of a good gateway asked for at a wrong address."""
    run(name, wrong_url, list(TASK_IDS))
    if not all(path.startswith(("/wrong/", case_gateway.WEB)) for path in gateway.asked[-40:]):
        raise SystemExit(f"{name}: the gateway was asked at its right address")


def make_by_day(gateway: CaseGateway) -> None:
    """By day: two days, and a generation whose time of creation is not known."""
    days = {
        "first-day": "2025-01-31T23:59:59Z",
        "second-day": "2025-02-01T00:00:00Z",
        "no-day": None,
    }
    gateway.tasks |= {task_id: generation(task_id, created_at=day) for task_id, day in days.items()}
    run("by_day", gateway.base_url, list(days), "--partition-by", "day")


def run(name: str, base_url: str, task_ids: list[str], *options: str) -> None:
    """Ingest task IDs into a warehouse as a user would; a run that stops early is fine too."""
    with tempfile.TemporaryDirectory() as folder:
        ids = Path(folder, "task_ids.txt")
        ids.write_text("".join(f"{task_id}\n" for task_id in task_ids))
        command = [sys.executable, "-m", "connector", "ingest", str(ids), *options]
        environment = {
            **{key: text for key, text in os.environ.items() if not key.startswith("LUMA")},
            "PYTHONPATH": str(ROOT),
            "LUMAAI_API_KEY": "luma-key-of-no-one",
            "LUMA_BASE_URL": base_url,
            "LUMA_WAREHOUSE": str(FOLDER / name),
            "LUMA_GIVE_UP_AFTER": EVER,
        }
        done = subprocess.run(command, cwd=folder, env=environment, check=False)  # noqa: S603  ours
    if done.returncode not in {0, 3, 4}:
        raise SystemExit(f"{name}: the run ended with exit code {done.returncode}")


if __name__ == "__main__":
    main()
