"""The flow: task IDs in, Parquet tables out.

The flow's process plans, commits and keeps the account, and so holds the warehouse's lock. The
batches only fetch, into files of the inbox that nobody else writes.
"""

# ruff: noqa: TC001 -- Prefect reads the annotations of a flow while it runs
from __future__ import annotations

from contextlib import suppress
from typing import Annotated

from prefect import State, flow, get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import Field, PositiveFloat, PositiveInt

from connector.errors import ConnectorError, Interrupted, RunStopped
from connector.pipeline import Run, Selection, make_plan, open_warehouse
from connector.settings import Settings, load
from connector.tally import Summary
from flows import artifacts, batches, gateway, run_log

# Prefect takes no more than 512 KiB of parameters, which are about 13,000 UUIDs.
TaskIds = str | Annotated[list[str], Field(max_length=10_000)]

# Each is a task run: smaller ones would be mostly Prefect's own cost.
BatchSize = Annotated[int, Field(ge=50, le=10_000)]


def _run_name() -> str:
    """What is ingested, and when: `task_ids.txt, 2025-10-15 08:56:19 UTC`."""
    task_ids = flow_run.get_parameters()["task_ids"]
    if not isinstance(task_ids, str):
        what = f"{len(task_ids):,} task IDs"
    elif "://" in task_ids:
        what = "a database"  # its URL may hold a password
    else:
        what = task_ids.rpartition("/")[2]
    return f"{what}, {flow_run.get_scheduled_start_time():%Y-%m-%d %H:%M:%S} UTC"


@flow(
    name="ingest-generations",
    description="Fetch generations that are new or unfinished into a warehouse of Parquet tables.",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=batches.AT_ONCE),  # type: ignore[arg-type]  # the hint wants futures of None
    persist_result=False,
    retries=0,
)
def ingest_generations(
    task_ids: TaskIds,
    warehouse: str | None = None,
    base_url: str | None = None,
    *,
    column: str | None = None,
    query: str | None = None,
    limit: PositiveInt | None = None,
    refresh: bool = False,
    retry_rejected: bool = False,
    batch_size: BatchSize = 500,
    max_concurrency: PositiveInt = 64,
    requests_per_second: PositiveFloat | None = None,
    max_wait: PositiveFloat = 300,
    key_block: str | None = gateway.KEY_BLOCK,
) -> State[Summary]:
    """Fetch the generations of task IDs that are new or unfinished into a warehouse.

    What no parameter sets comes from the environment (`LUMA_…`) and `.env`.

    Args:
        task_ids: A text names a file, a glob or a SQLAlchemy URL; a list holds up to 10,000 IDs.
        warehouse: Folder of the tables. Empty: LUMA_WAREHOUSE, or `warehouse`.
        base_url: The gateway. Empty: LUMA_BASE_URL, or https://api.lumalabs.ai.
        column: Column of the task IDs, if not `task_id` or `id`.
        query: What to ask the database for.
        limit: Ask for no more than this many.
        refresh: Ask again for finished ones too.
        retry_rejected: Ask again for finally rejected and given-up ones too.
        batch_size: Task IDs in a batch, which is one task run.
        max_concurrency: Requests in flight at once, at most.
        requests_per_second: Requests a second, at most. Empty: as many as the gateway takes.
        max_wait: Seconds to wait when the gateway asks for it; beyond, the run stops.
        key_block: Secret block with the gateway's key. If there is no `luma-api-key`, or this is
            empty: LUMAAI_API_KEY.

    Returns:
        Completed, with the run's account. Failed, with the error, if the run could not start or
        stopped early; what had come is in the tables.
    """
    selection = Selection(
        [task_ids], column, query, limit, refresh=refresh, retry_rejected=retry_rejected
    )
    logger = get_run_logger()
    try:
        settings = load(
            warehouse=warehouse,
            base_url=base_url,
            batch_size=batch_size,
            max_concurrency=max_concurrency,
            requests_per_second=requests_per_second,
            max_wait=max_wait,
            key=gateway.find_key(key_block),
        )
        settings.ready()
        with run_log.forwarding_to(logger):
            summary = _ingest(selection, settings, key_block)
    except ConnectorError as error:
        if isinstance(error, RunStopped) and error.summary:
            artifacts.publish(error.summary)
        # The message says it all; a worker would log the way here as well.
        return Failed(message=str(error), data=error.with_traceback(None))
    artifacts.publish(summary)
    return Completed(message=artifacts.headline(summary), data=summary)


def _ingest(selection: Selection, settings: Settings, key_block: str | None) -> Summary:
    with open_warehouse(settings) as warehouse:
        run = Run(settings, warehouse, make_plan(selection, settings, warehouse))
        if not len(run.plan.task_ids):
            return run.finish()
        keyless = settings.model_copy(update={"key": None})
        access = gateway.Access(run.run_id, keyless, key_block)
        with gateway.opened(access) as opened:
            return _fetch(run, batches.Batches(run, access, opened, artifacts.Progress(run).update))


def _fetch(run: Run, under_way: batches.Batches) -> Summary:
    """Fetch all batches; however that ends, what came is committed and accounted for."""
    get_run_logger().info(
        "%s task IDs given, %s to ask for", f"{run.plan.given:,}", f"{len(run.plan.task_ids):,}"
    )
    try:
        under_way.fetch()
    except RunStopped as stopped:
        return run.finish(stopped)
    except BaseException as error:
        # SIGTERM comes as an exception too: Prefect's TerminationSignal.
        with suppress(RunStopped):
            run.finish(Interrupted(_why(error)))
        raise
    return run.finish()


def _why(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else "interrupted"
    return f"{text}; the next run goes on from here"
