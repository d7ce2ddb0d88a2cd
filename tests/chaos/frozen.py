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
import subprocess
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, Self

import boto3
import pyarrow.parquet as pq
from chaos.buckets import BucketWorld
from chaos.checks import Lost, Tables, check_accounts, check_tidy, read_all
from s3 import CREDENTIALS

from connector.record.answer import Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from s3 import Request

BUCKET: Final = "luma-frozen"

# Seconds: a lease that expires while a test waits for it.
SHORT: Final = (
    "import connector.storage.lease as lease;"
    "lease.RENEW, lease.FENCE, lease.EXPIRES, lease.LONGEST_PAUSE = 0.3, 0.6, 1.5, 0.5;"
    "from connector.cli.app import main; main()"
)
COMMANDS: Final = {
    "run": ("ingest", "ids.txt", "--json", "--max-concurrency", "1", "--lock-timeout", "60"),
    "rebuild": ("rebuild",),
    "compact": ("compact",),
}
SECONDS: Final = 120
STOPPED: Final = 4


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
        status = {"Status": "Enabled"}
        self._client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration=status)
        return self

    def start(self, prefix: str, command: str, url: str | None = None) -> subprocess.Popen[str]:
        """Start a writer; without the proxy if a URL is given."""
        more = {"LUMA_WAREHOUSE": f"s3://{BUCKET}/{prefix}", "LUMA_BATCH_SIZE": "4"}
        return subprocess.Popen(
            [sys.executable, "-c", SHORT, *COMMANDS[command]],
            cwd=self.folder,
            env={**self.environment, **more, **({"AWS_ENDPOINT_URL": url} if url else {})},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def finish(self, prefix: str) -> None:
        """Run a writer to its end."""
        writer = self.start(prefix, "run", self.server.url)
        _, errors = writer.communicate(timeout=SECONDS)
        if writer.returncode:
            raise Lost(f"the other writer ended with {writer.returncode}: {errors}")

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
    writer = world.start(prefix, command)
    _, errors = writer.communicate(timeout=SECONDS)
    assert not writer.returncode, errors
    return len(world.proxy.seen)


def freeze(world: FrozenWorld, command: str, number: int, *, is_under_way: bool) -> str | None:
    """Freeze a writer at its n-th request, let another one do all, and wake it; return the loss."""
    prefix = f"{command}-{number}-{is_under_way}"
    _make_past(world, prefix, command)
    frozen, awake, at = threading.Event(), threading.Event(), [""]

    def stop(request: Request) -> None:
        if request.number == number:
            os.kill(writer.pid, signal.SIGSTOP)
            at[0] = str(request)
            frozen.set()
            if is_under_way:
                awake.wait(SECONDS)

    world.proxy.reset(stop)
    writer = world.start(prefix, command)
    try:
        while not frozen.wait(0.05) and writer.poll() is None:
            pass
        world.finish(prefix)
        writer.send_signal(signal.SIGCONT)
        awake.set()
        _, errors = writer.communicate(timeout=SECONDS)
        _check(world, prefix, writer.returncode, errors)
    except (Lost, subprocess.TimeoutExpired) as lost:
        return f"{command}, frozen at {at[0]} (number {number}, {is_under_way=}): {lost}"
    finally:
        awake.set()
        writer.kill()
        writer.communicate()
        world.proxy.reset()
    return None


def _make_past(world: FrozenWorld, prefix: str, command: str) -> None:
    """For a run, an empty place; for other commands, a warehouse with several files."""
    world.sandbox.reset()
    world.proxy.reset()
    if command != "run":
        world.finish(prefix)
        world.finish(prefix)


def _check(world: FrozenWorld, prefix: str, ended_with: int, errors: str) -> None:
    """No row was lost or replaced by an older one, at no time, and no answer is missing."""
    if ended_with not in {0, STOPPED} or "Traceback" in errors:
        raise Lost(f"the frozen writer ended with {ended_with}: {errors}")
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
    """Each task has one row, of its latest answer in the log; an older one may come to it late."""
    log = tables["answers"].select(["task_id", "fetched_at", "outcome"]).to_pandas()
    good = log[log.outcome == Outcome.GENERATION.value].groupby("task_id").fetched_at.max()
    rows = tables["generations"].select(["task_id", "fetched_at"]).to_pandas()
    if rows.task_id.duplicated().any():
        raise Lost("a task has two rows")
    if rows.set_index("task_id").fetched_at.to_dict() != good.to_dict():
        raise Lost("generations has not the latest answers of the log")
