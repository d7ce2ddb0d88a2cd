"""A writer in a bucket, frozen for longer than its lease, while another one takes over.

It is frozen at one of its requests that change the bucket; every other time the request is under
way, and arrives when the other writer has long finished. The bucket's own versions then show
whether anything newer was replaced.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import signal
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import boto3
import pandas as pd
import pyarrow.parquet as pq
from chaos.buckets import BucketWorld
from chaos.checks import Lost, Tables, check_accounts, check_tidy, read_all
from chaos.forks import Ended, Forks, Job
from s3 import CREDENTIALS

from connector.record.answer import Outcome
from connector.record.schema import TERMINAL_STATUSES

if TYPE_CHECKING:
    from pathlib import Path

    from s3 import Request

BUCKET: Final = "luma-frozen"

# Seconds: a lease that expires while a test waits for it.
SHORT: Final = {
    "connector.storage.lease:RENEW": 0.3,
    "connector.storage.lease:FENCE": 0.6,
    "connector.storage.lease:EXPIRES": 1.5,
    "connector.storage.lease:LONGEST_PAUSE": 0.5,
    "connector.run.receive:BATCH_SECONDS": 1.0,  # shorter than a lease, as it is
}
COMMANDS: Final = {
    "run": ("ingest", "ids.txt", "--json", "--max-concurrency", "1", "--lock-timeout", "60"),
    "rebuild": ("rebuild",),
    "compact": ("compact",),
}
SECONDS: Final = 120
STOPPED: Final = 4


class Writer(NamedTuple):
    """A writer under way, and what it will have ended with."""

    pid: int
    result: Future[Ended]


class FrozenWorld(BucketWorld):
    """A bucket with versions, and writers with short leases."""

    def __enter__(self) -> Self:
        super().__enter__()
        self.server.make_bucket(BUCKET)
        self._client = boto3.client(
            "s3",
            endpoint_url=self.server.url,
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            region_name=CREDENTIALS["AWS_REGION"],
        )
        # A process for the writers that are frozen, beside that for all others.
        self.frozen = self._open.enter_context(Forks())
        self._threads = self._open.enter_context(ThreadPoolExecutor(1))
        status = {"Status": "Enabled"}
        self._client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=status)
        return self

    def job(self, prefix: str, command: str, url: str | None = None) -> Job:
        """A writer; without the proxy if a URL is given, and then in a folder of its own."""
        more = {"LUMA_WAREHOUSE": f"s3://{BUCKET}/{prefix}", "LUMA_BATCH_SIZE": "4"}
        folder = self.folder
        if url:
            more["AWS_ENDPOINT_URL"] = url
            folder = self.folder / "other"
            folder.mkdir(exist_ok=True)
            shutil.copy(self.folder / "ids.txt", folder)
        environment = {**self.environment, **more}
        return Job(COMMANDS[command], str(folder), environment, patches=SHORT)

    def finish(self, prefix: str, command: str = "run", url: str | None = None) -> None:
        """Run a writer to its end, by default without the proxy."""
        ended = self._forks.run(self.job(prefix, command, url or self.server.url))
        if ended.exit_code:
            raise Lost(f"the other writer ended with {ended.exit_code}: {ended.stderr}")

    def start(self, prefix: str, command: str) -> Writer:
        """Start a writer behind the proxy, to be frozen."""
        pid = self.frozen.start(self.job(prefix, command))
        return Writer(pid, self._threads.submit(self.frozen.end))

    def copy(self, prefix: str) -> Path:
        """A copy of the warehouse as it is now."""
        folder = self.folder / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.server.download(f"{BUCKET}/{prefix}", folder)
        shutil.rmtree(folder / ".lock")
        for left in sorted(folder.rglob("*"), reverse=True):
            if left.is_dir() and not any(left.iterdir()):
                left.rmdir()
        return folder

    def versions(self, prefix: str) -> dict[str, list[dict[str, Any]]]:
        """For each file of `generations`, when each task was fetched, by version, oldest first."""
        found: dict[str, list[dict[str, Any]]] = {}
        pages = self._client.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=BUCKET, Prefix=f"{prefix}/generations/"):
            for one in page.get("Versions", ()):
                name, version = one["Key"], one["VersionId"]
                got = self._client.get_object(Bucket=BUCKET, Key=name, VersionId=version)
                rows = pq.ParquetFile(io.BytesIO(got["Body"].read())).read()
                fetched = dict(
                    zip(*(rows[n].to_pylist() for n in ("task_id", "fetched_at")), strict=True)
                )
                found.setdefault(name, []).insert(0, fetched)
        return found


def count_requests(world: FrozenWorld, command: str) -> int:
    """Requests that change the bucket, of an undisturbed writer."""
    prefix = f"undisturbed-{command}"
    _make_past(world, prefix, command)
    world.finish(prefix, command, world.proxy.url)
    return len(world.proxy.seen)


def freeze(world: FrozenWorld, command: str, number: int, *, is_under_way: bool) -> str | None:
    """Freeze a writer at its n-th request, let another one do all, and wake it; return the loss."""
    prefix = f"{command}-{number}-{is_under_way}"
    _make_past(world, prefix, command)
    started, frozen, awake, at = *(threading.Event() for _ in range(3)), [""]

    def stop(request: Request) -> None:
        if request.number == number:
            started.wait(SECONDS)  # until its number is known
            os.kill(writer.pid, signal.SIGSTOP)
            at[0] = str(request)
            frozen.set()
            if is_under_way:
                awake.wait(SECONDS)

    world.proxy.reset(stop)
    writer = world.start(prefix, command)
    started.set()
    try:
        while not frozen.wait(0.05) and not writer.result.done():
            pass
        world.finish(prefix)
        with suppress(ProcessLookupError):  # it has ended before it came to that request
            os.kill(writer.pid, signal.SIGCONT)
        awake.set()
        _check(world, prefix, writer.result.result(SECONDS))
    except (Lost, TimeoutError) as lost:
        return f"{command}, frozen at {at[0]} (number {number}, {is_under_way=}): {lost}"
    finally:
        awake.set()
        with suppress(ProcessLookupError):
            os.kill(writer.pid, signal.SIGKILL)
        writer.result.result(SECONDS)
        world.proxy.reset()
    return None


def _make_past(world: FrozenWorld, prefix: str, command: str) -> None:
    """For a run, an empty place; for other commands, a warehouse with several files."""
    world.sandbox.reset()
    world.proxy.reset()
    if command != "run":
        world.finish(prefix)
        world.finish(prefix)


def _check(world: FrozenWorld, prefix: str, ended: Ended) -> None:
    """No row was lost or replaced by an older one, at no time, and no answer is missing."""
    if ended.exit_code not in {0, STOPPED} or "Traceback" in ended.stderr:
        raise Lost(f"the frozen writer ended with {ended.exit_code}: {ended.stderr}")
    for name, versions in world.versions(prefix).items():
        for before, after in itertools.pairwise(versions):
            if older := [one for one in before if one not in after or after[one] < before[one]]:
                raise Lost(f"{name}: a newer version of {len(older)} rows was replaced")
    world.finish(prefix)  # commits what the frozen writer had left to save
    copy = world.copy(prefix)
    tables = read_all(copy)
    _check_latest(tables)
    check_accounts(tables["runs"])
    check_tidy(copy)
    in_log = Counter(tables["answers"]["task_id"].to_pylist())
    if missing := Counter(world.asked()) - in_log:
        raise Lost(f"{missing.total()} answers are missing in the log, such as {min(missing)}")


def _check_latest(tables: Tables) -> None:
    """Each task has one row, of its latest answer in the log; an older one may come to it late.

    A finished generation stays finished: a writer that was frozen while an answer was on its way
    notes it when it wakes, after another has seen the end.
    """
    log = tables["answers"].select(["task_id", "fetched_at", "outcome", "status"]).to_pandas()
    good = log[log.outcome == Outcome.GENERATION.value]
    finished = good[good.status.isin(TERMINAL_STATUSES)]
    good = pd.concat([finished, good[~good.task_id.isin(finished.task_id)]])
    good = good.groupby("task_id").fetched_at.max()
    rows = tables["generations"].select(["task_id", "fetched_at"]).to_pandas()
    if rows.task_id.duplicated().any():
        raise Lost("a task has two rows")
    if rows.set_index("task_id").fetched_at.to_dict() != good.to_dict():
        raise Lost("generations has not the latest answers of the log")
