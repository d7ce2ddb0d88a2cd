# ruff: noqa: INP001  a script, not a package
"""Install a wheel into an empty environment and use it: `python -m tools.try_wheel WHEEL`.

Plain `pip install`, so with the newest of what it needs: what a user gets today. Against the
sandbox gateway: command line, report, flow on a server of Prefect's own, and the import.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Final

from rich import print  # noqa: A004

from connector.sandbox import Sandbox, SandboxSettings, task_ids

KEY: Final = "key-of-the-sandbox"

COMMANDS: Final = (
    "luma-to-parquet check",
    "luma-to-parquet ingest ids.txt",
    "luma-to-parquet show",
    "luma-to-parquet report -o report.html",
    "python -m flows.files .",
    "python run_flow.py",
    "python read.py",
)
RUN_FLOW: Final = """\
from flows.ingest import ingest_generations
from flows.local import prefect_api

if __name__ == "__main__":
    with prefect_api(print):
        ingest_generations(task_ids="ids.txt", warehouse="by-flow", key_block=None)
"""
READ: Final = """\
import connector
one, other = (connector.read("generations", name) for name in ("warehouse", "by-flow"))
assert len(one) == len(other) == {count}, (len(one), len(other))
print(connector.__version__, len(one), "generations by both ways")
"""


def main() -> None:
    """Be the command; anything that fails ends it."""
    wheel = Path(sys.argv[1]).resolve()
    ids = task_ids(300)
    with (
        tempfile.TemporaryDirectory() as folder,
        Sandbox(SandboxSettings(key=KEY, unfinished=0.0)) as sandbox,
    ):
        site = Path(folder)
        venv.create(site / "venv", with_pip=True)
        (site / "ids.txt").write_text("\n".join(ids))
        (site / "run_flow.py").write_text(RUN_FLOW)
        (site / "read.py").write_text(READ.format(count=len(ids)))
        environment = {
            **{name: text for name, text in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{site / 'venv/bin'}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_HOME": str(site / "prefect"),
            "LUMAAI_API_KEY": KEY,
            "LUMA_BASE_URL": sandbox.base_url,
        }
        for command in (f"python -m pip install --quiet {wheel}", "python -m pip check", *COMMANDS):
            print(f"[bold]{command}")
            subprocess.run(command.split(), cwd=site, env=environment, check=True)  # noqa: S603


if __name__ == "__main__":
    main()
