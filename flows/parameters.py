"""The flow's parameters as Prefect's form shows them: a title each, and what is not accepted.

Prefect names each field of the form after the parameter; only `json_schema_extra` overrides that.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt


def _titled(title: str, **limits: Any) -> Any:
    return Field(json_schema_extra={"title": title}, **limits)


# Prefect takes no more than 512 KiB of parameters, which are about 13,000 UUIDs.
TaskIds = Annotated[
    str | Annotated[list[str], Field(max_length=10_000)], _titled("Task IDs, or where they are")
]
Column = Annotated[str | None, _titled("Column of the task IDs")]
Query = Annotated[str | None, _titled("SQL query for task IDs")]

Keep = Annotated[str | list[str] | None, _titled("Columns to keep with the task IDs")]

Warehouse = Annotated[str | None, _titled("Warehouse")]
Api = Annotated[Literal["dream-machine", "agents"] | None, _titled("API")]
BaseUrl = Annotated[str | None, _titled("Gateway")]

Limit = Annotated[PositiveInt | None, _titled("Task IDs to ask for, at most")]
Refresh = Annotated[bool, _titled("Ask for finished ones again")]
RetryRejected = Annotated[bool, _titled("Ask for rejected and given-up ones again")]

# Each is a task run: smaller ones would be mostly Prefect's own cost.
BatchSize = Annotated[int, _titled("Task IDs in a batch, at most", ge=50, le=10_000)]
MaxConcurrency = Annotated[PositiveInt | None, _titled("Requests at once, at most")]
RequestsPerSecond = Annotated[PositiveFloat | None, _titled("Requests a second, at most")]
IdsPerRequest = Annotated[int | None, _titled("Task IDs in a request", ge=1, le=1_000)]
MaxWait = Annotated[PositiveFloat | None, _titled("Longest wait for the gateway, seconds")]
Wait = Annotated[float | None, _titled("Wait for unfinished ones, seconds", ge=0)]
LockTimeout = Annotated[float | None, _titled("Longest wait for another run, seconds", ge=0)]
RejectsAllowed = Annotated[float, _titled("Rejects allowed, percent", ge=0, le=100)]
Runner = Annotated[Literal["threads", "processes", "dask"], _titled("Batches run in")]
Processes = Annotated[PositiveInt | None, _titled("Processes")]
DaskScheduler = Annotated[str | None, _titled("Address of the Dask scheduler")]
KeyBlock = Annotated[str | None, _titled("Secret block with the key")]
Config = Annotated[str | None, _titled("File of settings")]
Profile = Annotated[str | None, _titled("Profile of that file")]
