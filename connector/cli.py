"""The command line. Thin: it reads arguments, calls the pipeline and prints what came of it.

What takes long to import is imported by the command that needs it, so that `--help` is instant.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict
from importlib.abc import MetaPathFinder
from importlib.metadata import version
from pathlib import Path  # noqa: TC003  cyclopts reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from connector.errors import ConnectorError, RunStopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from connector.pipeline import Selection
    from connector.settings import Settings
    from connector.warehouse.warehouse import Warehouse

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

app = App(
    name="luma-to-parquet",
    help="Task IDs in, Parquet tables out: Dream Machine video generations for analytics.",
    version=lambda: version("luma-to-parquet"),
    default_parameter=Parameter(negative=()),
)


def main() -> None:
    """Run the command line and exit: 0 done, 2 usage, 3 key refused, 4 stopped, 130 interrupted."""
    level = os.environ.get("LUMA_LOG_LEVEL", "WARNING").upper()
    logging.basicConfig(format="%(levelname)s: %(message)s")
    logging.getLogger("connector").setLevel(level if level in LOG_LEVELS else "WARNING")
    # What it warns of, a malformed header say, becomes an answer's outcome here.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        app(_arguments(sys.argv[1:]))
    except ConnectorError as error:
        _console(stderr=True).print(f"error: {error}", style="bold red", markup=False)
        sys.exit(error.exit_code)


def _arguments(given: list[str]) -> list[str]:
    """Move a bare `-` behind `--`: cyclopts takes it for an option elsewhere."""
    if "-" not in given or "--" in given:
        return given
    return [*(argument for argument in given if argument != "-"), "--", "-"]


@app.command
def ingest(  # noqa: D417  the sources are described by the text
    *sources: str,
    warehouse: Path | None = None,
    base_url: str | None = None,
    column: str | None = None,
    query: str | None = None,
    limit: int | None = None,
    refresh: bool = False,
    retry_rejected: bool = False,
    dry_run: bool = False,
    json: bool = False,
    max_concurrency: int | None = None,
    requests_per_second: float | None = None,
    max_wait: float | None = None,
    give_up_after: str | None = None,
    partition_by: Literal["month", "day"] | None = None,
    lock_timeout: float | None = None,
    redact_signatures: bool = False,
    allow_http: bool = False,
) -> None:
    """Fetch the generations of task IDs that are new or unfinished.

    SOURCES are files of task IDs (text, CSV, JSON, JSON Lines or Parquet, also .gz), globs of them,
    `-` for standard input, or a SQLAlchemy URL with `--query`.
    The key is read from LUMAAI_API_KEY, in the environment or in a `.env` file.

    Args:
        warehouse: Folder of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        base_url: Gateway; also LUMA_BASE_URL. [default: https://api.lumalabs.ai]
        column: Column of the task IDs, if not `task_id` or `id`.
        query: What to ask the database for.
        limit: Ask for no more than this many.
        refresh: Ask again for finished ones too.
        retry_rejected: Ask again for finally rejected and given-up ones too.
        dry_run: Only tell what would be asked for.
        json: Print the run's summary as one JSON object on standard output, and nothing else there.
        max_concurrency: Requests in flight at once, at most.
        requests_per_second: Requests a second, at most.
        max_wait: Seconds to wait when the gateway asks for it; beyond, the run stops.
        give_up_after: No longer ask for what is unfinished for so long, such as P7D.
        partition_by: Partitions of a new warehouse. [default: month]
        lock_timeout: Seconds to wait for another run on this warehouse.
        redact_signatures: Cut the query, which is a credential, off presigned URLs.
        allow_http: Send the key over plain http to another machine.
    """
    _keep_pyarrow_from_pandas()
    from connector.pipeline import Selection  # noqa: PLC0415  see above
    from connector.settings import load  # noqa: PLC0415  see above

    settings = load(
        warehouse=warehouse,
        base_url=base_url,
        max_concurrency=max_concurrency,
        requests_per_second=requests_per_second,
        max_wait=max_wait,
        give_up_after=give_up_after,
        partition_by=partition_by,
        lock_timeout=lock_timeout,
        redact_signatures=redact_signatures or None,
        allow_http=allow_http or None,
    )
    selection = Selection(
        sources, column, query, limit, refresh=refresh, retry_rejected=retry_rejected
    )
    if dry_run:
        _preview(selection, settings, as_json=json)
    else:
        _ingest(selection, settings, as_json=json)


def _ingest(selection: Selection, settings: Settings, *, as_json: bool) -> None:
    from connector.pipeline import ingest as run  # noqa: PLC0415  see above
    from connector.terminal import LiveProgress, print_summary  # noqa: PLC0415  see above

    with _stop_on_signals() as received:
        try:
            with LiveProgress(_console(stderr=True)) as progress:
                summary = run(selection, settings, stop=received.event, on_progress=progress)
        except RunStopped as stopped:
            if stopped.summary is None:
                raise
            summary = stopped.summary
            exit_code = 128 + received.number if received.number else stopped.exit_code
        else:
            exit_code = 0
    if as_json:
        _print_json(summary.to_dict())
    else:
        print_summary(_console(), summary)
        if summary.fetched:
            _print_reading(settings.warehouse)
    sys.exit(exit_code)


def _preview(selection: Selection, settings: Settings, *, as_json: bool) -> None:
    from connector.pipeline import preview  # noqa: PLC0415  see above

    plan = preview(selection, settings)
    counts = {
        "given": plan.given,
        "blank": plan.blank,
        "duplicate": plan.duplicate,
        "invalid": plan.invalid,
        "already_terminal": plan.already_terminal,
        "over_limit": plan.over_limit,
        "would_ask_for": len(plan.task_ids),
    }
    if as_json:
        _print_json(counts)
    else:
        for name, count in counts.items():
            _console().print(f"{count:>12,}  {name.replace('_', ' ')}", highlight=False)


@app.command
def show(
    *, warehouse: Path | None = None, give_up_after: str | None = None, json: bool = False
) -> None:
    """Tell what a warehouse holds.

    Args:
        warehouse: Folder of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        give_up_after: What is unfinished for longer counts as given up, such as P7D.
        json: Print one JSON object.
    """
    _keep_pyarrow_from_pandas()
    from connector.settings import load  # noqa: PLC0415  see above
    from connector.terminal import print_overview  # noqa: PLC0415  see above
    from connector.warehouse.overview import overview  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = load(warehouse=warehouse, give_up_after=give_up_after)
    found = overview(Warehouse.existing(settings.warehouse), settings.give_up_after)
    if json:
        _print_json(asdict(found))
    else:
        print_overview(_console(), found)


@app.command
def rebuild(*, warehouse: Path | None = None) -> None:
    """Make all tables anew from the log of answers, asking the gateway for nothing.

    Args:
        warehouse: Folder of the tables; also LUMA_WAREHOUSE. [default: warehouse]
    """
    with _opened(warehouse) as found:
        done = found.rebuild()
    _console().print(
        f"{done.generations:,} generations from {done.answers:,} answers;"
        f" {done.changed_files:,} files changed",
        highlight=False,
    )


@app.command
def compact(*, warehouse: Path | None = None) -> None:
    """Join the many small files of `answers` and `runs` into one a month and one in all.

    Args:
        warehouse: Folder of the tables; also LUMA_WAREHOUSE. [default: warehouse]
    """
    with _opened(warehouse) as found:
        joined = found.compact()
    _console().print(f"{joined:,} files joined", highlight=False)


@contextlib.contextmanager
def _opened(folder: Path | None) -> Iterator[Warehouse]:
    """The warehouse that is there, to be changed."""
    _keep_pyarrow_from_pandas()
    from connector.settings import load  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    settings = load(warehouse=folder)
    Warehouse.existing(settings.warehouse)
    with Warehouse.writing(settings.warehouse, lock_timeout=settings.lock_timeout) as found:
        yield found


@app.command
def sandbox(*arguments: Annotated[str, Parameter(allow_leading_hyphen=True)]) -> None:
    """Run a gateway on this machine to try things against; `sandbox --help` lists its knobs."""
    from connector.sandbox.__main__ import main as serve  # noqa: PLC0415  see above

    serve(list(arguments))


class _Received:
    """The first signal that came, if any."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.number = 0


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[_Received]:
    """Turn the first SIGINT or SIGTERM into a request to stop; a second one leaves at once."""
    received = _Received()

    def handle(number: int, _frame: object) -> None:
        if received.number:
            os._exit(128 + number)
        received.number = number
        received.event.set()
        # Not through Rich, whose lock the interrupted code may hold.
        os.write(2, b"\nstopping: keeping what has come; once more to leave at once\n")

    earlier = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


class _NoPandas(MetaPathFinder):
    """Answers that there is no pandas."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002  given by position
        if fullname == "pandas":
            raise ImportError(fullname)


def _keep_pyarrow_from_pandas() -> None:
    """Save 0.5 s and 50 MB: pyarrow looks for pandas at its first array, and no command needs it.

    It looks once, and again when something does ask for pandas.
    """
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa  # noqa: PLC0415  see above

        pa.array([])
    finally:
        sys.meta_path.remove(finder)


def _print_json(value: dict[str, Any]) -> None:
    import orjson  # noqa: PLC0415  see above

    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")


def _print_reading(warehouse: Path) -> None:
    from connector.terminal import print_reading  # noqa: PLC0415  see above
    from connector.warehouse.overview import first_rows  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    print_reading(_console(), str(warehouse), first_rows(Warehouse.existing(warehouse)))


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console  # noqa: PLC0415  see above

    return Console(stderr=stderr, soft_wrap=False)
