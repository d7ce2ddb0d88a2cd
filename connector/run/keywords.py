"""The settings as keywords of `connector.ingest`, for editors and type checkers.

Apart from `Settings`, which takes pydantic a tenth of a second; a test holds the two together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from datetime import timedelta

    from pydantic import SecretStr


class Keywords(TypedDict, total=False):
    """What each is, and its default: `connector.settings.Settings`."""

    key: str | SecretStr | None
    api: Literal["dream-machine", "agents"] | None
    base_url: str | None
    allow_http: bool | None
    key_variable: str | None
    config: str | os.PathLike[str] | None
    profile: str | None
    warehouse: str | os.PathLike[str] | None
    partition_by: Literal["month", "day"] | None
    lock_timeout: float | None
    keep: str | Sequence[str] | None
    redact_signatures: bool | None
    marts: bool | None
    term_prompts: int | None
    max_concurrency: int | None
    requests_per_second: float | None
    ids_per_request: int | None
    max_attempts: int | None
    max_wait: float | None
    connect_timeout: float | None
    read_timeout: float | None
    total_timeout: float | None
    max_body_bytes: int | None
    batch_size: int | None
    give_up_after: str | float | timedelta | None
    wait: str | float | timedelta | None
    poll_first: float | None
    poll_longest: float | None
    metrics_file: str | os.PathLike[str] | None
    report_url: str | None
