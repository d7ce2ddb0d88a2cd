"""The same job, written by hand. Each takes a base URL, a file of task IDs and a folder."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import requests

from benchmarks.world import KEY, without_heartbeat

PATH: Final = "/dream-machine/v1/generations/"
HEADERS: Final = {"Authorization": f"Bearer {KEY}"}
TIMEOUT: Final = 60


def _task_ids(path: str) -> list[str]:
    return Path(path).read_text().split()


def _write(documents: list[Any], folder: str) -> None:
    import pandas as pd  # noqa: PLC0415  only some peers need it

    pd.json_normalize(documents).to_parquet(Path(folder, "generations.parquet"))


def loop(base_url: str, path: str, folder: str) -> None:
    """`requests` in a loop, `pd.json_normalize`, one file."""
    session = requests.Session()
    documents = [
        session.get(base_url + PATH + task_id, headers=HEADERS, timeout=TIMEOUT).json()
        for task_id in _task_ids(path)
    ]
    _write(documents, folder)


def threads(base_url: str, path: str, folder: str, workers: int = 32) -> None:
    """The same with a pool of threads."""
    session = requests.Session()

    def get(task_id: str) -> Any:
        return session.get(base_url + PATH + task_id, headers=HEADERS, timeout=TIMEOUT).json()

    with ThreadPoolExecutor(workers) as pool:
        _write(list(pool.map(get, _task_ids(path))), folder)


def tasks(base_url: str, path: str, folder: str, workers: int) -> None:
    """`aiohttp` and orjson in one event loop, with this many tasks."""
    import asyncio  # noqa: PLC0415  only this peer needs it

    import aiohttp  # noqa: PLC0415  the peer's own
    import orjson  # noqa: PLC0415

    async def fetch() -> list[Any]:
        numbered = enumerate(_task_ids(path))
        documents: dict[int, Any] = {}
        connector = aiohttp.TCPConnector(limit=workers)
        async with aiohttp.ClientSession(base_url, headers=HEADERS, connector=connector) as session:

            async def work() -> None:
                for number, task_id in numbered:
                    async with session.get(PATH + task_id) as response:
                        documents[number] = orjson.loads(await response.read())

            await asyncio.gather(*(work() for _ in range(workers)))
        return [documents[number] for number in sorted(documents)]

    _write(asyncio.run(fetch()), folder)


def bare(base_url: str, path: str, _folder: str, workers: int = 16) -> None:
    """`session.get` in threads, answers discarded."""
    session = requests.Session()

    def get(task_id: str) -> bytes:
        return session.get(base_url + PATH + task_id, headers=HEADERS, timeout=TIMEOUT).content

    with ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(get, _task_ids(path)):
            pass


def dlt(base_url: str, path: str, folder: str, workers: int = 20) -> None:
    """A dlt pipeline with parallel requests, to Parquet files."""
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "EXTRACT__WORKERS": str(workers),
        "EXTRACT__MAX_PARALLEL_ITEMS": str(workers),
        "DESTINATION__FILESYSTEM__BUCKET_URL": Path(folder).as_uri(),
    }
    import dlt as library  # noqa: PLC0415  the peer's own
    from dlt.sources.helpers.requests import Client  # noqa: PLC0415

    session = Client(request_timeout=TIMEOUT).session

    @library.resource(name="task_ids", selected=False)
    def given() -> Any:
        yield from ({"task_id": task_id} for task_id in _task_ids(path))

    @library.transformer(data_from=given, name="generations")
    def generations(item: dict[str, str]) -> Any:
        @library.defer
        def get() -> Any:
            return session.get(base_url + PATH + item["task_id"], headers=HEADERS).json()

        return get()

    pipeline = library.pipeline(
        "peer", destination="filesystem", dataset_name="peer", pipelines_dir=f"{folder}/state"
    )
    pipeline.run(generations, loader_file_format="parquet")


def prefect_task_each(base_url: str, path: str, folder: str) -> None:
    """A Prefect flow with one task run per task ID; needs PREFECT_API_URL."""
    from prefect import flow, task  # noqa: PLC0415  the peer's own
    from prefect.cache_policies import NO_CACHE  # noqa: PLC0415
    from prefect.task_runners import ThreadPoolTaskRunner  # noqa: PLC0415

    session = requests.Session()

    @task(cache_policy=NO_CACHE, retries=3)
    def get(task_id: str) -> Any:
        return session.get(base_url + PATH + task_id, headers=HEADERS, timeout=TIMEOUT).json()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=32))  # type: ignore[arg-type]  # as in flows
    def fetch() -> None:
        _write(get.map(_task_ids(path)).result(), folder)

    with without_heartbeat():
        fetch()


def prefect_empty() -> None:
    """A flow that does nothing with its parameter; needs PREFECT_API_URL."""
    from prefect import flow  # noqa: PLC0415  the peer's own

    @flow(persist_result=False, retries=0)
    def nothing(task_ids: str) -> None:
        pass

    with without_heartbeat():
        nothing("ids.txt")
