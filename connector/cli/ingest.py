"""The command `ingest`.

Slow imports are inside the functions that need them, so that `--help` is instant.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from connector.cli.log import log_error
from connector.cli.mode import Mode
from connector.cli.options import NONE, WHOLE, Common
from connector.cli.shell import console, print_json
from connector.cli.signals import stop_on_signals
from connector.errors import RunStopped, SettingsError, SourceError
from connector.storage.arrow import import_pyarrow

if TYPE_CHECKING:
    from connector.run.selection import Selection
    from connector.settings import Settings


def ingest(
    *sources: str,
    warehouse: str | None = None,
    api: Literal["dream-machine", "agents"] | None = None,
    base_url: str | None = None,
    column: str | None = None,
    query: str | None = None,
    keep: Annotated[list[str] | None, Parameter(consume_multiple=True)] = None,
    limit: Annotated[int | None, WHOLE, Parameter(validator=Number(gte=1))] = None,
    refresh: bool = False,
    retry_rejected: bool = False,
    dry_run: bool = False,
    json: bool = False,
    max_concurrency: Annotated[int | None, WHOLE] = None,
    requests_per_second: float | None = None,
    ids_per_request: Annotated[int | None, WHOLE] = None,
    max_wait: str | None = None,
    wait: str | None = None,
    give_up_after: str | None = None,
    partition_by: Literal["month", "day"] | None = None,
    rejects_allowed: Annotated[float | None, Parameter(validator=Number(gte=0, lte=100))] = None,
    lock_timeout: str | None = None,
    redact_signatures: bool = False,
    metrics_file: str | None = None,
    allow_http: bool = False,
    common: Common = NONE,
) -> None:
    """Fetch new and unfinished generations into Parquet tables.

    SOURCES are task IDs; files of them (text, CSV, Excel, JSON, JSON Lines or Parquet, also .gz);
    globs of files; `-` for standard input; a SQLAlchemy URL with `--query`; or `luma:list`: the
    gateway's own list, newest first, down to what an earlier run has read. Files and tables may be
    in a bucket: s3://bucket/prefix, gs://…, abfss://…

    The key is read from LUMAAI_API_KEY, or the variable that the profile names, in the environment
    or in a `.env` file.

    Args:
        warehouse: Folder or bucket of the tables; also LUMA_WAREHOUSE. [default: warehouse]
        api: Which of Luma's APIs the gateway has; also LUMA_API. [default: dream-machine]
        base_url: Gateway; also LUMA_BASE_URL. [default: https://api.lumalabs.ai]
        column: Column of the task IDs, if not `task_id`, `generation_id`, `id`, `uuid` or `job_id`.
        query: SQL that selects the task IDs from the database.
        keep: Columns of the source to keep in the table `given`: names, separated by commas or
            blanks, or `all`. The last word is the source if none came before --keep.
        limit: Most task IDs to request.
        refresh: Also request finished generations again.
        retry_rejected: Also request finally rejected and given-up task IDs again.
        dry_run: Count the task IDs that would be requested, without a request.
        json: Print only the run's summary on standard output, as one JSON object.
        max_concurrency: Most requests in flight.
        requests_per_second: Highest rate of requests per second.
        ids_per_request: Task IDs in one request, for gateways that answer for many at once.
        max_wait: Longest wait, such as 5m, that the gateway may ask for; beyond it, the run stops.
        wait: Poll unfinished generations at growing intervals until all are finished or this much
            time has passed, such as 30m.
        give_up_after: Age at which an unfinished generation is given up, such as 7d.
        partition_by: Partitions of a new warehouse. [default: month]
        rejects_allowed: Percent of answers that may be rejects; beyond it, the exit code is 4.
        lock_timeout: Longest wait, such as 5m, for another run on this warehouse.
        redact_signatures: Cut the query, which is a credential, off presigned URLs.
        metrics_file: File for the run's metrics, read by Prometheus's node exporter.
        allow_http: Send the key over plain http to another machine.
    """
    if keep and len(keep) > 1 and not sources:
        *keep, source = keep
        sources = (source,)
    if not sources:
        raise SourceError(
            "no source of task IDs: name a file, a glob, a task ID, `-` for standard input,"
            " a database URL, or luma:list"
        )
    settings = common.load(
        warehouse=warehouse,
        api=api,
        base_url=base_url,
        max_concurrency=max_concurrency,
        requests_per_second=requests_per_second,
        ids_per_request=ids_per_request,
        keep=_names(keep),
        max_wait=max_wait,
        wait=wait,
        give_up_after=give_up_after,
        partition_by=partition_by,
        lock_timeout=lock_timeout,
        redact_signatures=redact_signatures or None,
        metrics_file=metrics_file,
        allow_http=allow_http or None,
    )
    if not dry_run:
        settings.ready()
    import_pyarrow()
    from connector.run.selection import Selection  # noqa: PLC0415  see above

    selection = Selection(
        sources, column, query, limit, refresh=refresh, retry_rejected=retry_rejected
    )
    if dry_run:
        _preview(selection, settings, as_json=json)
    else:
        _ingest(selection, settings, rejects_allowed, as_json=json)


def _ingest(
    selection: Selection, settings: Settings, rejects_allowed: float | None, *, as_json: bool
) -> None:
    from connector.cli.progress import progress_of  # noqa: PLC0415  see above
    from connector.cli.terminal import log_summary, print_summary  # noqa: PLC0415  see above
    from connector.run.pipeline import ingest as run  # noqa: PLC0415  see above

    with stop_on_signals() as received:
        try:
            with progress_of(console(stderr=True), received.event) as progress:
                summary = run(selection, settings, progress)
        except RunStopped as stopped:
            if stopped.summary is None:
                raise
            summary = stopped.summary
            exit_code = 128 + received.number if received.number else stopped.exit_code
        else:
            exit_code = 0
    beyond = summary.rejects_beyond(rejects_allowed)
    if beyond and not exit_code:
        exit_code = RunStopped.exit_code
        log_error(beyond, exit_code=exit_code)
    if Mode.is_json or Mode.is_quiet:
        log_summary(summary, exit_code)
    if as_json:
        print_json(summary.to_dict())
    elif not Mode.is_quiet:
        print_summary(console(), summary)
        if summary.fetched:
            _print_reading(settings.warehouse)
    sys.exit(exit_code)


def _names(keep: list[str] | None) -> list[str] | None:
    """The names of columns that were given in several words, each of which may be several."""
    if keep is None:
        return None
    from connector.config.values import names_in  # noqa: PLC0415  see above

    try:
        return [name for word in keep for name in names_in(word)]
    except ValueError as error:
        raise SettingsError(f"--keep {error}") from None


def _preview(selection: Selection, settings: Settings, *, as_json: bool) -> None:
    from connector.run.selection import preview  # noqa: PLC0415  see above

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
        print_json(counts)
    else:
        for name, count in counts.items():
            console().print(f"{count:>12,}  {name.replace('_', ' ')}", highlight=False)


def _print_reading(warehouse: str) -> None:
    from connector.cli.terminal import print_reading  # noqa: PLC0415  see above
    from connector.warehouse.overview import first_rows  # noqa: PLC0415  see above
    from connector.warehouse.warehouse import Warehouse  # noqa: PLC0415  see above

    print_reading(console(), warehouse, first_rows(Warehouse.existing(warehouse)))
