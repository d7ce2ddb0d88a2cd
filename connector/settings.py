"""Settings: from arguments, the environment (`LUMA_…`, `LUMAAI_API_KEY`) and a `.env` file."""

from __future__ import annotations

import codecs
import ipaddress
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from connector.errors import SettingsError
from connector.record.base_url import as_base_url
from connector.words import did_you_mean

OFFICIAL_BASE_URL = "https://api.lumalabs.ai"
AGENTS_BASE_URL = "https://agents.lumalabs.ai"

_ENV_FILE = Path(".env")
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _as_text(address: object) -> object:
    return os.fspath(address) if isinstance(address, os.PathLike) else address


# Text, so that `s3://bucket/prefix` stays what it is; a path is taken too.
Address = Annotated[str, BeforeValidator(_as_text)]


BaseUrl = Annotated[str, AfterValidator(as_base_url)]

_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", re.IGNORECASE)
_SECONDS_IN = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def _as_duration(value: object) -> object:
    """Take `30m`, `2h`, `7d` and plain seconds too; the rest is ISO 8601, which pydantic reads."""
    if not isinstance(value, str):
        return value
    if short := _DURATION.fullmatch(value):
        return timedelta(seconds=float(short[1]) * _SECONDS_IN[short[2].lower()])
    if not re.match(r"\s*-?P", value):
        raise ValueError("is not a length of time, such as 30m, 2h, 7d or PT30M")
    return value


Duration = Annotated[timedelta, BeforeValidator(_as_duration)]


def _setting(default: Any, description: str, unit: str | None = None, **more: Any) -> Any:
    """A field, and what docs/settings.md says of it."""
    in_schema: Any = {"unit": unit} if unit else None
    return Field(default, description=description, json_schema_extra=in_schema, **more)


class Settings(BaseSettings):
    """What a run needs to know, the task IDs aside. Frozen; the key never shows in its `repr`."""

    model_config = SettingsConfigDict(
        env_prefix="LUMA_",
        env_file=_ENV_FILE,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        # An error quotes no value: it could be the key.
        hide_input_in_errors=True,
    )

    key: SecretStr | None = _setting(None, "Key of the gateway.", validation_alias="LUMAAI_API_KEY")
    api: Literal["dream-machine", "agents"] = _setting(
        "dream-machine", "Which of Luma's APIs the gateway has."
    )
    base_url: BaseUrl = _setting(
        OFFICIAL_BASE_URL, f"Address of the gateway; with `agents`, {AGENTS_BASE_URL} if unset."
    )
    allow_http: bool = _setting(False, "Send the key over plain http to another machine.")

    warehouse: Address = _setting("warehouse", "Folder or bucket of the tables.")
    partition_by: Literal["month", "day"] | None = _setting(
        None, "Partitions of a new warehouse; `month` if unset. A warehouse keeps what it has."
    )
    lock_timeout: float = _setting(
        0, "Longest wait for another run on this warehouse.", "seconds", ge=0
    )
    redact_signatures: bool = _setting(
        False, "Cut the query, which is a credential, off presigned URLs before they are saved."
    )
    marts: bool = _setting(True, "Rebuild the marts at the end of a run.")
    term_prompts: PositiveInt | None = _setting(
        None, "Distinct prompts that a term needs for a row in `terms`; 5 in a new warehouse."
    )

    max_concurrency: PositiveInt = _setting(64, "Most requests in flight at once.", "requests")
    requests_per_second: PositiveFloat | None = _setting(
        None, "Highest rate; if unset, as many as the gateway takes.", "requests per second"
    )
    ids_per_request: int = _setting(
        1,
        "Task IDs in one request, for gateways that answer for many at once.",
        "task IDs",
        ge=1,
        le=1_000,
    )
    max_attempts: PositiveInt = _setting(5, "Most requests for one task ID.", "requests")
    max_wait: PositiveFloat = _setting(
        300, "Longest wait that a gateway may ask for; beyond it, the run stops.", "seconds"
    )
    connect_timeout: PositiveFloat = _setting(10, "Longest wait for a connection.", "seconds")
    read_timeout: PositiveFloat = _setting(
        30, "Longest wait for the next bytes of an answer.", "seconds"
    )
    total_timeout: PositiveFloat = _setting(60, "Longest time for a whole answer.", "seconds")
    max_body_bytes: PositiveInt = _setting(
        4 * 1024 * 1024, "Largest body, decompressed; a larger one is rejected.", "bytes"
    )
    batch_size: PositiveInt = _setting(
        500, "Answers that are saved together in one file.", "answers"
    )

    give_up_after: Duration = _setting(
        timedelta(days=7), "Age at which an unfinished generation is given up.", "length of time"
    )
    wait: Annotated[Duration, Field(ge=timedelta(0))] | None = _setting(
        None, "How long to poll unfinished generations; not at all if unset.", "length of time"
    )
    poll_first: PositiveFloat = _setting(5, "Time until the first poll.", "seconds")
    poll_longest: PositiveFloat = _setting(60, "Longest time between two polls.", "seconds")

    metrics_file: Path | None = _setting(
        None, "File for the run's figures, for Prometheus's node exporter."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_api(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The default address is that of the API."""
        is_of_agents = values.get("api") == "agents"
        return {"base_url": AGENTS_BASE_URL, **values} if is_of_agents else values

    @model_validator(mode="after")
    def _asks_for_what_there_is(self) -> Self:
        if self.api == "agents" and self.ids_per_request > 1:
            raise ValueError(
                "ids_per_request: the agents API has no request for many task IDs: leave out"
                " --ids-per-request and LUMA_IDS_PER_REQUEST"
            )
        return self

    def ready(self) -> SecretStr:
        """The key, when nothing speaks against sending it to the base URL.

        Raises:
            SettingsError: There is no key, or it would travel unencrypted.
        """
        if self.key is None:
            raise SettingsError("no key: set LUMAAI_API_KEY in the environment or in .env")
        url = urlsplit(self.base_url)
        if url.scheme == "http" and not self.allow_http and not _is_loopback(url.hostname or ""):
            raise SettingsError(
                f"{self.base_url} would carry the key unencrypted: use https, or --allow-http if"
                " the network in between is yours"
            )
        return self.key


def load(**given: Any) -> Settings:
    """Make settings from arguments, where not None, over environment over `.env` over defaults.

    Raises:
        SettingsError: There is no such setting, or a value makes no sense; the message names the
            setting, never the value. Or `.env` is not UTF-8.
    """
    for name in given.keys() - Settings.model_fields.keys():
        raise SettingsError(
            f"there is no setting {name!r}{did_you_mean(name, Settings.model_fields)};"
            f" there are {', '.join(Settings.model_fields)}"
        )
    values = {name: value for name, value in given.items() if value is not None}
    try:
        return Settings(**{**values, "_env_file_encoding": _encoding_of(_ENV_FILE)})
    except UnicodeDecodeError:
        raise _not_utf_8(_ENV_FILE) from None
    except ValidationError as error:
        reasons = [_reason(problem) for problem in error.errors(include_input=False)]
        raise SettingsError(f"settings: {'; '.join(reasons)}") from None


def _reason(problem: Any) -> str:
    """What is wrong with which setting; one that speaks of several names them itself."""
    said = problem["msg"].removeprefix("Value error, ")
    name = ".".join(map(str, problem["loc"]))
    return f"{name}: {said}" if name else said


def _encoding_of(env_file: Path) -> str:
    """UTF-8, with a mark or without, or UTF-16 with one: so Windows's editors save it.

    Raises:
        SettingsError: It is in another encoding.
    """
    # A named pipe, which some keepers of secrets put here, can be read once only.
    content = env_file.read_bytes() if env_file.is_file() else b""
    if content.startswith(_UTF_16_MARKS):
        return "utf-16"
    if b"\0" in content:  # UTF-16 without a mark
        raise _not_utf_8(env_file)
    return "utf-8-sig"


def _not_utf_8(env_file: Path) -> SettingsError:
    """The text shows nothing of the file: it may hold the key."""
    return SettingsError(f"{env_file} is not UTF-8: save it as UTF-8")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
