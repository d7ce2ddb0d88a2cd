"""The flow's parameters as Prefect's form shows them: a title each, and what is not accepted.

Prefect names each field of the form after the parameter; only `json_schema_extra` overrides that.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt


def _titled(title: str, **limits: Any) -> Any:
    return Field(json_schema_extra={"title": title}, **limits)


def _checked(value: object) -> object:
    """Refuse what no path, address or name can hold, before it fails where nothing says why."""
    if isinstance(value, str) and _NOT_TEXT.search(value):
        raise ValueError("holds a character that is not text, such as a zero byte")
    return value


def _none_if_blank(value: object) -> object:
    """A field of the form that was emptied again may come as a text of nothing."""
    return None if isinstance(value, str) and not value.strip() else _checked(value)


_NOT_TEXT = re.compile("[\0\ud800-\udfff]")

Text = Annotated[str, BeforeValidator(_checked)]
MaybeText = Annotated[str | None, BeforeValidator(_none_if_blank)]

# Prefect takes no more than 512 KiB of parameters, which are about 13,000 UUIDs.
TaskIds = Annotated[
    Text | Annotated[list[str], Field(max_length=10_000)], _titled("Task IDs, or where they are")
]
Column = Annotated[MaybeText, _titled("Column of the task IDs")]
Query = Annotated[MaybeText, _titled("SQL query for task IDs")]

Keep = Annotated[MaybeText | list[str], _titled("Columns to keep with the task IDs")]

Warehouse = Annotated[MaybeText, _titled("Warehouse")]
Api = Annotated[Literal["dream-machine", "agents"] | None, _titled("API")]
BaseUrl = Annotated[MaybeText, _titled("Gateway")]

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
DaskScheduler = Annotated[MaybeText, _titled("Address of the Dask scheduler")]
KeyBlock = Annotated[MaybeText, _titled("Secret block with the key")]
Config = Annotated[MaybeText, _titled("File of settings")]
Profile = Annotated[MaybeText, _titled("Profile of that file")]
