"""The flow: task IDs in, Parquet tables out.

The flow's process plans, commits and writes the summary, and so holds the warehouse's lock. The
batches only fetch, into their own files in the inbox.
"""

# No `from __future__ import annotations`: `serve` sends the flow pickled to another process, and
# text in place of types would be looked up among names that do not travel with it.

import math
from typing import Final

from prefect import State, flow, get_run_logger
from prefect.runtime import flow_run
from prefect.task_runners import ThreadPoolTaskRunner

from connector.errors import ConnectorError, Interrupted, RunStopped, SourceError, StorageFailed
from connector.metrics.meters import open_metrics
from connector.run.resources import check_access, open_warehouse
from connector.run.run import Run
from connector.run.selection import Given, Selection
from connector.run.watcher import Watcher
from connector.settings import Settings
from connector.storage.address import is_object_store
from connector.summary import Summary
from connector.warehouse.runs import latest_runs
from connector.words import plain, plural
from flows import parameters, run_log, runners, states
from flows.access import KEY_BLOCK, Access, key_place, load_with_key, share_gateway
from flows.runners import Where
from flows.turn import turn

# What a run requests again, by parameter.
AGAIN: Final = {"refresh": "finished", "retry_rejected": "rejected"}


def _run_name() -> str:
    """Name a run, such as `task_ids.txt, rejected again, 2025-10-15 08:56:19 UTC`."""
    given = flow_run.get_parameters()
    task_ids = given["task_ids"]
    if not isinstance(task_ids, str):
        what = plural(len(task_ids), "task ID")
    elif "://" in task_ids and not is_object_store(task_ids):
        what = "a database"  # its URL may hold a password
    else:
        # Perhaps a folder, or many task IDs in one text.
        what = plain(task_ids.rstrip("/").rpartition("/")[2], 60) or "nothing"
    again = [word for name, word in AGAIN.items() if given.get(name)]
    what = ", ".join([what, *(f"{word} again" for word in again)])
    return f"{what}, {flow_run.get_scheduled_start_time():%Y-%m-%d %H:%M:%S} UTC"


@flow(
    name="ingest-generations",
    description="Fetch generations that are new or unfinished into a warehouse of Parquet tables.",
    flow_run_name=_run_name,
    task_runner=ThreadPoolTaskRunner(max_workers=runners.THREADS),  # type: ignore[arg-type]  # the hint wants futures of None
    persist_result=False,
    retries=0,
)
def ingest_generations(
    task_ids: parameters.TaskIds,
    warehouse: parameters.Warehouse = None,
    base_url: parameters.BaseUrl = None,
    *,
    api: parameters.Api = None,
    column: parameters.Column = None,
    query: parameters.Query = None,
    keep: parameters.Keep = None,
    limit: parameters.Limit = None,
    refresh: parameters.Refresh = False,
    retry_rejected: parameters.RetryRejected = False,
    batch_size: parameters.BatchSize = 2_000,
    max_concurrency: parameters.MaxConcurrency = None,
    requests_per_second: parameters.RequestsPerSecond = None,
    ids_per_request: parameters.IdsPerRequest = None,
    max_wait: parameters.MaxWait = None,
    wait: parameters.Wait = None,
    lock_timeout: parameters.LockTimeout = None,
    rejects_allowed: parameters.RejectsAllowed = 5,
    key_block: parameters.KeyBlock = KEY_BLOCK,
    config: parameters.Config = None,
    profile: parameters.Profile = None,
    runner: parameters.Runner = "threads",
    processes: parameters.Processes = None,
    dask_scheduler: parameters.DaskScheduler = None,
) -> State[Summary]:
    """Fetch new and unfinished generations into a warehouse.

    Settings without a parameter come from the environment (`LUMA_…`), the profile and `.env`.

    Args:
        task_ids: A file, a glob, a SQLAlchemy URL, or `luma:list`: the gateway's own list, down to
            what an earlier run has read. Or a list of up to 10,000 IDs.
        warehouse: Folder of the tables, or `s3://…`. Empty: LUMA_WAREHOUSE, or `warehouse`.
        base_url: Its address. Empty: LUMA_BASE_URL, or https://api.lumalabs.ai.
        api: Which of Luma's APIs it has: `dream-machine` or `agents`. Empty: LUMA_API, or
            `dream-machine`.
        column: If it is not found by its name: `task_id`, `generation_id`, `id`, `uuid`, ….
        query: What to ask the database for.
        keep: Columns of the source, such as `campaign, owner`, or `all`: the table `given` keeps
            them. Empty: LUMA_KEEP, or none.
        limit: Ask for no more than this many; the rest is left to the next run.
        refresh: Ask again for finished ones too.
        retry_rejected: Ask again for finally rejected and given-up ones too.
        batch_size: A batch is one task run, and up to four run at once. A short list is cut into
            smaller ones.
        max_concurrency: Of all batches together. Empty: LUMA_MAX_CONCURRENCY, or 224.
        requests_per_second: Of all batches together. Empty: as many as the gateway takes.
        ids_per_request: For gateways that answer for many at once. Empty: LUMA_IDS_PER_REQUEST, or
            1.
        max_wait: When the gateway asks for it; beyond, the run stops early. Empty: LUMA_MAX_WAIT,
            or 300.
        wait: Ask for unfinished ones again, at growing intervals, until all are finished or this
            much time has passed. Empty: LUMA_WAIT, or not at all.
        lock_timeout: While another run writes to the warehouse; beyond, this run ends as
            WarehouseBusy. Empty: LUMA_LOCK_TIMEOUT, or 0.
        rejects_allowed: Percent of answers that may be rejects; beyond it, the run ends as
            CompletedWithRejects.
        key_block: Secret block with the key. If `luma-api-key` does not exist, or this is empty:
            LUMAAI_API_KEY, or the variable that the profile names.
        config: TOML file of settings, with profiles. Empty: LUMA_CONFIG, or none.
        profile: Profile of that file. Empty: LUMA_PROFILE, or none.
        runner: `threads` of the flow's process, `processes` of this machine, or `dask`: the workers
            of a cluster.
        processes: Number of processes, for that runner, up to 16 per core. Empty: one per core.
        dask_scheduler: Address of the scheduler, for `dask`. Empty: DASK_SCHEDULER_ADDRESS.

    Returns:
        The final state (`flows.states`) with the summary, or with the error if the run could not
        start or stopped early; what was received is in the tables.
    """
    selection = Selection(
        [task_ids], column, query, limit, refresh=refresh, retry_rejected=retry_rejected
    )
    try:
        with run_log.forwarding_to(get_run_logger()):
            if task_ids == "-":
                # A worker's may stay open for ever.
                raise SourceError("a flow reads no standard input: name a file, or give the IDs")
            settings = load_with_key(
                key_block,
                warehouse=warehouse,
                api=api,
                base_url=base_url,
                batch_size=batch_size,
                max_concurrency=max_concurrency,
                requests_per_second=requests_per_second,
                ids_per_request=ids_per_request,
                keep=keep or None,
                max_wait=max_wait,
                wait=wait,
                lock_timeout=lock_timeout,
                config=config,
                profile=profile,
            )
            check_access(settings, key_place(settings, key_block))
            given = selection.open(settings)
            with turn(settings.warehouse, settings.lock_timeout):
                summary = _ingest(
                    given, settings, key_block, Where(runner, processes, dask_scheduler)
                )
    except (ConnectorError, OSError) as raised:
        if isinstance(raised, OSError) and raised.errno is None:
            raise  # Prefect's, or Dask's: a time-out
        error = StorageFailed.of(raised) if isinstance(raised, OSError) else raised
        state = states.of_error(error)
        run_log.say_last(get_run_logger(), state)
        return state
    return states.of_summary(summary, rejects_allowed)


def _ingest(given: Given, settings: Settings, key_block: str | None, where: Where) -> Summary:
    """Run, and publish the summary, also of a run that stopped early.

    A run that asks for nothing and changes nothing publishes nothing: its state and its log say so.
    """
    with (
        open_metrics(settings.metrics_file) as meters,
        open_warehouse(settings, given) as warehouse,
    ):
        run = Run(given, settings, warehouse, meters, _LogWatcher())
        if not run.has_requests and not warehouse.has_changed:
            _log_plan(run)
            return run.finish()
        # Imported here, as below: most scheduled runs find nothing new.
        from flows import artifacts  # noqa: PLC0415

        previous = next(iter(latest_runs(warehouse.storage, 1)), None)

        def publish(summary: Summary) -> None:
            has_changed = bool(summary.asked) or warehouse.has_changed
            artifacts.publish(summary, previous, settings.report_url, has_changed=has_changed)

        access = Access(
            run.run_id,
            settings.model_copy(update={"key": None}),
            key_block,
            proof=run.proof,
        )
        try:
            summary = _fetch(run, access, where)
        except RunStopped as stopped:
            if stopped.summary:
                publish(stopped.summary)
            raise
        publish(summary)
        return summary


def _fetch(run: Run, access: Access, where: Where) -> Summary:
    """Fetch all batches; however that ends, commit what was received and write the summary."""
    _log_plan(run)
    if not run.has_requests:
        return run.finish()
    from connector.run import pipeline  # noqa: PLC0415  see above
    from flows import artifacts, batches  # noqa: PLC0415  see above

    with (
        share_gateway(access, run) as gateway,
        runners.open_runner(where, access, gateway.stop) as runner,
    ):
        try:
            if run.selection.is_listing:
                # Pages come one after another, so there is nothing to split into batches.
                pipeline.fetch(run, gateway.client)
            else:
                progress = artifacts.Progress(run)
                try:
                    batches.Batches(run, access, runner, progress.update_if_due).fetch()
                finally:
                    progress.update()
            pipeline.poll(run, gateway.client)
        except RunStopped as stopped:
            return run.finish(stopped)
        except BaseException as error:
            # SIGTERM is an exception too: Prefect's TerminationSignal.
            try:
                run.finish(Interrupted(_why(error)))
            except RunStopped as stopped:
                run_log.say_interrupted(get_run_logger(), stopped)
            raise
        return run.finish()


def _log_plan(run: Run) -> None:
    given, asked = plural(run.plan.given, "task ID"), f"{len(run.plan.task_ids):,}"
    get_run_logger().info("%s given, %s to request", given, asked)
    if run.plan.invalid:
        examples = "; ".join(run.plan.invalid_examples)
        get_run_logger().warning("%s invalid and left out: %s", f"{run.plan.invalid:,}", examples)


class _LogWatcher(Watcher):
    """Logs a line whenever fewer generations are unfinished."""

    def __init__(self) -> None:
        super().__init__()
        self._least: float = math.inf

    def waiting(self, unfinished: int, seconds: float) -> None:  # noqa: ARG002  for progress bars
        if unfinished < self._least:
            get_run_logger().info("waiting for %s", plural(unfinished, "unfinished generation"))
            self._least = unfinished


def _why(error: BaseException) -> str:
    text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else "interrupted"
    return f"{text}; the next run goes on from here"
