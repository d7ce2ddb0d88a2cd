"""The command line: its commands, and how an error ends the process."""

from __future__ import annotations

import gc
import re
import sys
from typing import Annotated, Final

from cyclopts import (
    App,
    CycloptsError,
    Parameter,
    UnknownOptionError,
    UnusedCliTokensError,
)

from connector.cli import log, streams
from connector.cli.check import check
from connector.cli.ingest import ingest
from connector.cli.outputs import duckdb, export, report
from connector.cli.tables import compact, forget, rebuild, show
from connector.errors import ConnectorError, StorageFailed, UsageError
from connector.version import VERSION
from connector.words import plain

# Options of all commands, and how many words they are: `connector.cli.options`.
COMMON: Final = {"--quiet": 1, "--log-format": 2, "--config": 2, "--profile": 2}

# What people try first.
_KEY_OPTION: Final = re.compile(r"--(api[-_]?)?(key|token)\b")

app = App(
    name="luma-to-parquet",
    help="Task IDs in, Parquet tables out: Dream Machine video generations for analytics.",
    version=VERSION,
    default_parameter=Parameter(negative=()),
    help_format="plaintext",  # importing markdown takes 0.1 s
)


def main() -> None:
    """Run the command line and exit: 0 done, 2 usage, 3 key refused, 4 stopped, 130 interrupted."""
    arguments = _arguments(_command_first(sys.argv[1:]))
    streams.keep_running()
    log.set_up(arguments)
    if not arguments or arguments[0].startswith("-"):
        # No option of a command; it takes longer to import than a command takes to be found.
        app.register_install_completion_command()
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        log.log_error(plain(_explained(error)), exit_code=UsageError.exit_code)
        sys.exit(UsageError.exit_code)
    except ConnectorError as error:
        log.log_error(plain(error), error=type(error).__name__, exit_code=error.exit_code)
        sys.exit(error.exit_code)
    except OSError as error:
        failed = StorageFailed.of(error)
        log.log_error(plain(failed), error=type(error).__name__, exit_code=failed.exit_code)
        sys.exit(failed.exit_code)
    finally:
        if "duckdb" not in sys.modules:  # it lists on standard error what is not collected
            gc.freeze()  # or Python looks at each object once more before it ends


def _explained(error: CycloptsError) -> object:
    """What to do about an error of usage; the error itself where it says so."""
    if isinstance(error, UnknownOptionError) and _KEY_OPTION.match(
        error.token.keyword or error.token.value or ""
    ):
        return (
            "there is no option for the key, which other programs could read there: set"
            " LUMAAI_API_KEY in the environment or in .env"
        )
    if not isinstance(error, UnusedCliTokensError):
        return error
    command = " ".join(error.command_chain or ())
    unused = ", ".join(map(repr, error.unused_tokens or ()))
    return f"{command} takes no {unused}: `{app.name[0]} {command} --help` lists what it takes"


def _command_first(given: list[str]) -> list[str]:
    """Move the options that all commands have behind the command: people write them before it."""
    leading: list[str] = []
    rest = list(given)
    while rest and (name := rest[0].partition("=")[0]) in COMMON:
        length = 1 if "=" in rest[0] else COMMON[name]
        leading, rest = leading + rest[:length], rest[length:]
    return [*rest[:1], *leading, *rest[1:]]


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


for command in (ingest, check, show, report, export, duckdb, rebuild, compact, forget):
    app.command(command)
# The sandbox reads its own options, --help among them.
app.command(sandbox, help_flags=(), version_flags=())
