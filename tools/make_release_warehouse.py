# ruff: noqa: INP001  a script, not a package
"""Make the warehouses that a release leaves behind: tests/warehouses/VERSION/NAME.

Run it once before each release and commit the result; later versions must read, repair and extend
these warehouses. It runs the command line like a user, against a gateway on loopback that answers
with the cases of tests/cases, including those that a version gets wrong.

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
sys.path.insert(0, str(ROOT / "tests"))  # for case_gateway, which is not in a package

import case_gateway  # noqa: E402
from case_gateway import TASK_IDS, CaseGateway, generation  # noqa: E402

FOLDER: Final = ROOT / "tests/warehouses" / version("luma-to-parquet")
STOPPING: Final = ("stops the run", "key refused")
EVER: Final = "100000d"


def main() -> None:
    """Make all warehouses of this version."""
    if FOLDER.exists():
        raise SystemExit(f"{FOLDER} exists already, and a release's warehouses never change")
    with CaseGateway() as gateway:
        make_mixed(gateway)
        make_poisoned(gateway, "poisoned", f"{gateway.base_url}/wrong")
        make_poisoned(gateway, "poisoned_by_pages", f"{gateway.base_url}{case_gateway.WEB}")
        make_by_day(gateway)
    for path in FOLDER.glob("*/.*"):
        # Locks and drafts belong to this machine, not to the warehouse.
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in sorted(FOLDER.iterdir()):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        sys.stdout.write(f"{path.relative_to(ROOT)}: {size / 1000:.0f} kB\n")


def make_mixed(gateway: CaseGateway) -> None:
    """By month: all cases, the examples, unknown tasks, and unfinished ones that finish later."""
    expected = case_gateway.expected()
    stopping = [name for name, case in expected.items() if case["outcome"] in STOPPING]
    missing = [f"missing-{number}" for number in range(3)]
    slow = {"slow": "2025-05-01T08:00:00Z", "slow-without-a-time": None}
    for task_id, created_at in slow.items():
        gateway.tasks[task_id] = generation(task_id, "dreaming", created_at)
    given = [name for name in expected if name not in stopping]
    ingest_into("mixed", gateway.base_url, [*given, *case_gateway.examples(), *missing, *slow])
    for task_id, created_at in slow.items():
        given_later = created_at or "2025-05-02T08:00:00Z"
        gateway.tasks[task_id] = generation(task_id, "completed", given_later)
    ingest_into("mixed", gateway.base_url, list(slow))
    for name in stopping:
        ingest_into("mixed", gateway.base_url, [name])


def make_poisoned(gateway: CaseGateway, name: str, wrong_url: str) -> None:
    """Every task of a good gateway, requested at a wrong address."""
    ingest_into(name, wrong_url, list(TASK_IDS))
    if not all(path.startswith(("/wrong/", case_gateway.WEB)) for path in gateway.asked[-40:]):
        raise SystemExit(f"{name}: the gateway was asked at its correct address")


def make_by_day(gateway: CaseGateway) -> None:
    """By day: two days, and a generation without a creation time."""
    days = {
        "first-day": "2025-01-31T23:59:59Z",
        "second-day": "2025-02-01T00:00:00Z",
        "no-day": None,
    }
    gateway.tasks |= {task_id: generation(task_id, created_at=day) for task_id, day in days.items()}
    ingest_into("by_day", gateway.base_url, list(days), "--partition-by", "day")


def ingest_into(name: str, base_url: str, task_ids: list[str], *options: str) -> None:
    """Ingest task IDs into a warehouse like a user; a run may stop early."""
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
