"""The command line: its commands, and how an error ends the process."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from typing import Annotated

from cyclopts import App, Parameter

from connector.cli.check import check
from connector.cli.ingest import ingest
from connector.cli.outputs import duckdb, export, report
from connector.cli.shell import console
from connector.cli.tables import compact, rebuild, show
from connector.errors import ConnectorError
from connector.words import plain

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

app = App(
    name="luma-to-parquet",
    help="Task IDs in, Parquet tables out: Dream Machine video generations for analytics.",
    version=lambda: version("luma-to-parquet"),
    default_parameter=Parameter(negative=()),
    help_format="plaintext",  # importing markdown takes 0.1 s
)


def main() -> None:
    """Run the command line and exit: 0 done, 2 usage, 3 key refused, 4 stopped, 130 interrupted."""
    level = os.environ.get("LUMA_LOG_LEVEL", "WARNING").upper()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger("connector").setLevel(level if level in LOG_LEVELS else "WARNING")
    # Its warnings, such as of a malformed header, are already in an answer's outcome.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        app(_arguments(sys.argv[1:]))
    except ConnectorError as error:
        console(stderr=True).print(f"error: {plain(error)}", style="bold red", markup=False)
        sys.exit(error.exit_code)


def _arguments(given: list[str]) -> list[str]:
    """Move a bare `-` behind `--`, because cyclopts takes it for an option elsewhere."""
    if "-" not in given or "--" in given:
        return given
    return [*(argument for argument in given if argument != "-"), "--", "-"]


def sandbox(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a gateway on this machine to test against; `sandbox --help` lists its options."""
    from connector.sandbox.__main__ import main as serve  # noqa: PLC0415  see above

    if exit_code := serve(list(arguments)):
        sys.exit(exit_code)


for command in (ingest, check, show, report, export, duckdb, rebuild, compact):
    app.command(command)
# The sandbox reads its own options, --help among them.
app.command(sandbox, help_flags=(), version_flags=())
