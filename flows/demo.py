"""The demo: sandbox gateway, Prefect flow and Parquet tables on this machine.

Run `python -m flows.demo` in a clone of the project. Slow imports are inside the functions that
need them, so that output appears at once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from connector.sandbox import Sandbox, SandboxSettings

if TYPE_CHECKING:
    from prefect import State

    from connector.summary import Summary

PROJECT: Final = Path(__file__).parents[1]
TASK_IDS: Final = "data/task_ids.txt"
WAREHOUSE: Final = "data/warehouse"
PREFECT_HOME: Final = ".prefect"
DEMO_KEY: Final = "demo-key"

# A task is given up for one gateway only, so a second run needs the same address.
DEMO_PORT: Final = 8641

EXAMPLE_ID: Final = "32ec5549-7b7a-4111-a43b-445b3a89c8ef"

# The documented example, the only real answer in the demo.
EXAMPLE_FILE: Final = "data/examples/completed.json"


def main() -> int:
    """Run the demo; return the exit code."""
    console = Console(highlight=False)
    if not (PROJECT / TASK_IDS).exists():
        console.print(f"The demo needs {TASK_IDS}, which only a clone of the project has.")
        return 2
    os.chdir(PROJECT)
    _prepare_environment()
    # SIGTERM ends the demo like Ctrl-C: it keeps the data and leaves no process behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(console)
    except KeyboardInterrupt:
        console.print("\nInterrupted. What was received is kept; the next run goes on from there.")
        return 130


def _prepare_environment() -> None:
    """Set the variables that Prefect reads when imported; the user's own stay."""
    if not os.environ.get("PREFECT_API_URL"):
        os.environ.setdefault("PREFECT_HOME", str(PROJECT / PREFECT_HOME))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    # The run's log goes to the server; the terminal shows only warnings.
    os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "WARNING")
    # Never send the user's key to the sandbox.
    os.environ["LUMAAI_API_KEY"] = DEMO_KEY


def _run(console: Console) -> int:
    console.print("Starting a sandbox gateway on this machine ...")
    with _sandbox() as sandbox:
        from flows.local import ServerNotStarted, prefect_api  # noqa: PLC0415  takes seconds

        try:
            with prefect_api(console.print):
                state = _run_flow(console, sandbox.base_url)
        except ServerNotStarted as error:
            console.print(Text(str(error), "red"))
            return 1
    console.print()
    console.print(_where_to_see(f"runs/flow-run/{state.state_details.flow_run_id}"))
    return 0 if state.is_completed() else 1


def _sandbox() -> Sandbox:
    settings = _sandbox_settings()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, DEMO_PORT))
        except OSError:
            return Sandbox(settings)
    return Sandbox(replace(settings, port=DEMO_PORT))


def _sandbox_settings() -> SandboxSettings:
    """Every task is finished when first requested, so that a second run has nothing to fetch."""
    return SandboxSettings(
        key=DEMO_KEY,
        unfinished=0.0,
        missing=0.01,
        latency=0.02,
        fixtures={EXAMPLE_ID: Path(EXAMPLE_FILE).read_bytes()},
    )


def _run_flow(console: Console, base_url: str) -> State[Any]:
    from flows.ingest import ingest_generations  # noqa: PLC0415  takes seconds

    console.print(f"Running the flow over {TASK_IDS} ...\n")
    state: State[Any] = ingest_generations(
        TASK_IDS, WAREHOUSE, base_url, batch_size=100, key_block=None, return_state=True
    )
    if state.is_completed():
        _print_result(console, state.result())
    else:
        console.print(Text(f"The flow run has failed: {state.message}", "bold red"))
    return state


def _print_result(console: Console, summary: Summary) -> None:
    from connector.cli.terminal import print_reading, print_summary  # noqa: PLC0415  takes seconds
    from connector.warehouse.overview import first_rows  # noqa: PLC0415  takes seconds
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  takes seconds

    print_summary(console, summary)
    console.print(f"\nThe tables are in {WAREHOUSE}. In Python:")
    print_reading(console, WAREHOUSE, first_rows(Warehouse.existing(WAREHOUSE)))


def _where_to_see(page: str) -> str:
    from prefect.settings import PREFECT_HOME, PREFECT_UI_URL  # noqa: PLC0415  takes seconds

    if PREFECT_UI_URL.value():
        return f"The run in Prefect: {PREFECT_UI_URL.value()}/{page}"
    home, prefect = map(_short, (PREFECT_HOME.value(), Path(sys.executable).with_name("prefect")))
    return (
        "To see the run in Prefect's UI, start its server, and open the page:\n"
        f"  PREFECT_HOME={home} {prefect} --no-prompt server start\n"
        f"  http://127.0.0.1:4200/{page}"
    )


def _short(path: Path) -> Path:
    """A path as typed in the project's folder."""
    return path.relative_to(PROJECT) if path.is_relative_to(PROJECT) else path


if __name__ == "__main__":
    sys.exit(main())
