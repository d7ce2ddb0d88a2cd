"""Settings: from arguments, the environment (`LUMA_…`), a file with profiles, and `.env`."""

from __future__ import annotations

import ipaddress
import logging
from datetime import timedelta
from functools import cache
from pathlib import Path  # noqa: TC003  pydantic reads the hints
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from connector.config.misspelt import misspelt_variables
from connector.config.origin import DEFAULT, Origin, Place
from connector.config.places import PREFIX, look_up
from connector.config.values import (
    Address,
    AnySeconds,
    BaseUrl,
    Duration,
    Names,
    Page,
    Rate,
    Seconds,
    Variable,
    reason_of,
)
from connector.errors import SettingsError
from connector.words import did_you_mean, hide_user, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from connector.config.places import Found

OFFICIAL_BASE_URL = "https://api.lumalabs.ai"
AGENTS_BASE_URL = "https://agents.lumalabs.ai"

# Whose values an error does not show: a URL may hold a password.
_SECRET = frozenset({"key", "base_url", "key_variable"})

# The longest part of a wrong value that an error shows.
_SHOWN = 80


logger = logging.getLogger(__name__)


def _count(most: int) -> Any:
    return Field(ge=1, le=most)


def _setting(default: Any, description: str, unit: str | None = None, **more: Any) -> Any:
    """A field, and what docs/settings.md says of it."""
    in_schema: Any = {"unit": unit} if unit else None
    return Field(default, description=description, json_schema_extra=in_schema, **more)


class Settings(BaseModel):
    """What a run needs to know, the task IDs aside. Frozen; the key never shows in its `repr`."""

    model_config = ConfigDict(
        extra="forbid",
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

    key_variable: Variable = _setting(
        "LUMAAI_API_KEY", "Variable that holds the key, in the environment or in `.env`."
    )
    config: Path | None = _setting(None, "TOML file of settings, with profiles.")
    profile: str | None = _setting(None, "Profile of that file.")

    warehouse: Address = _setting("warehouse", "Folder or bucket of the tables.")
    partition_by: Literal["month", "day"] | None = _setting(
        None, "Partitions of a new warehouse; `month` if unset. A warehouse keeps what it has."
    )
    lock_timeout: AnySeconds = _setting(
        0, "Longest wait for another run on this warehouse.", "seconds"
    )
    keep: Names = _setting(
        (),
        "Columns of the source to keep with the task IDs, in the table `given`: names, or `all`."
        " In the environment and on the command line separated by commas, or a JSON list.",
    )
    redact_signatures: bool = _setting(
        False, "Cut the query, which is a credential, off presigned URLs before they are saved."
    )
    marts: bool = _setting(True, "Rebuild the marts at the end of a run.")
    term_prompts: Annotated[int, _count(1_000_000_000)] | None = _setting(
        None, "Distinct prompts that a term needs for a row in `terms`; 5 in a new warehouse."
    )

    max_concurrency: Annotated[int, _count(10_000)] = _setting(
        224, "Most requests in flight at once.", "requests"
    )
    requests_per_second: Rate | None = _setting(
        None, "Highest rate; if unset, as many as the gateway takes.", "requests per second"
    )
    ids_per_request: int = _setting(
        1,
        "Task IDs in one request, for gateways that answer for many at once.",
        "task IDs",
        ge=1,
        le=1_000,
    )
    max_attempts: Annotated[int, _count(1_000)] = _setting(
        5, "Most requests for one task ID.", "requests"
    )
    max_wait: Seconds = _setting(
        300, "Longest wait that a gateway may ask for; beyond it, the run stops.", "seconds"
    )
    connect_timeout: Seconds = _setting(10, "Longest wait for a connection.", "seconds")
    read_timeout: Seconds = _setting(30, "Longest wait for the next bytes of an answer.", "seconds")
    total_timeout: Seconds = _setting(60, "Longest time for a whole answer.", "seconds")
    max_body_bytes: Annotated[int, _count(1024**3)] = _setting(
        4 * 1024 * 1024, "Largest body, decompressed; a larger one is rejected.", "bytes"
    )
    batch_size: Annotated[int, _count(1_000_000)] = _setting(
        2_000, "Answers saved together in one file, if they come within ten seconds.", "answers"
    )

    give_up_after: Duration = _setting(
        timedelta(days=7), "Age at which an unfinished generation is given up.", "length of time"
    )
    wait: Duration | None = _setting(
        None, "How long to poll unfinished generations; not at all if unset.", "length of time"
    )
    poll_first: Seconds = _setting(5, "Time until the first poll.", "seconds")
    poll_longest: Seconds = _setting(60, "Longest time between two polls.", "seconds")

    metrics_file: Path | None = _setting(
        None, "File for the run's figures, for Prometheus's node exporter."
    )
    report_url: Page | None = _setting(
        None,
        "Where people open `report.html`, or the folder of it, such as"
        " `https://reports.example/luma/`: Prefect's UI links to it.",
    )

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)
    _misspelt: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _of_the_api(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The default address is that of the API."""
        is_of_agents = values.get("api") == "agents"
        return {"base_url": AGENTS_BASE_URL, **values} if is_of_agents else values

    @field_validator("*", mode="before")
    @classmethod
    def _without_zero_bytes(cls, value: object) -> object:
        """No path, address or name has one, and what comes upon it says nothing of a setting."""
        if isinstance(value, str) and "\0" in value:
            raise ValueError("must be text without zero bytes")
        return value

    @model_validator(mode="after")
    def _asks_for_what_there_is(self) -> Self:
        if self.api == "agents" and self.ids_per_request > 1:
            raise ValueError(
                "ids_per_request: the agents API has no request for many task IDs: leave out"
                " `ids_per_request` and LUMA_IDS_PER_REQUEST"
            )
        return self

    def origin(self, name: str) -> Origin:
        """Where a setting's value comes from."""
        return self._origins.get(name, DEFAULT)

    @property
    def misspelt(self) -> tuple[str, ...]:
        """A sentence for each variable that seems to be a misspelt one."""
        return self._misspelt

    def ready(self) -> SecretStr:
        """The key, when nothing speaks against sending it to the base URL.

        Raises:
            SettingsError: There is no key, it would travel unencrypted, or a folder that may be
                somebody else's would send the user's key to an address of its own.
        """
        if self.key is None:
            raise SettingsError(self._no_key())
        url = urlsplit(self.base_url)
        if url.scheme == "http" and not self.allow_http and not _is_loopback(url.hostname or ""):
            shown = hide_user(url._replace(query="", fragment="").geturl())
            raise SettingsError(
                f"{shown} would carry the key unencrypted: use https, or set"
                " LUMA_ALLOW_HTTP=true or `allow_http` if the network in between is yours"
            )
        if (
            self.origin("base_url").is_of_folder
            and self.origin("key").place is Place.ENVIRONMENT
            and self.base_url not in {OFFICIAL_BASE_URL, AGENTS_BASE_URL}
        ):
            raise SettingsError(
                f"the base URL {hide_user(self.base_url)} comes from"
                f" {self.origin('base_url').text} in this folder, but the key from the environment:"
                " somebody else's folder could send your"
                f" key anywhere. If it is meant, set `base_url={hide_user(self.base_url)}` or"
                " LUMA_BASE_URL in the environment"
            )
        return self.key

    def _no_key(self) -> str:
        origin = self.origin("key_variable")
        named = "" if origin.place is Place.DEFAULT else f", which {origin.text} names"
        return f"no key: set {self.key_variable} in the environment or in .env{named}"


def load(**given: Any) -> Settings:
    """Make settings: arguments that are not None count first, then the environment, the profile,
    the rest of its file, `.env`, and the default.

    Raises:
        SettingsError: There is no such setting or profile, or a value makes no sense; the message
            quotes it unless it may be secret. Or a file cannot be read.
    """  # noqa: D205  the order is the contract
    names = Settings.model_fields
    for name in given.keys() - names.keys():
        raise SettingsError(
            f"there is no setting {name!r}{did_you_mean(name, names)}; there are {', '.join(names)}"
        )
    places = look_up({name: value for name, value in given.items() if value is not None})
    found = places.merge(names, names["key_variable"].default)
    try:
        settings = Settings(**{name: one.value for name, one in found.items()})
    except ValidationError as error:
        reasons = [
            _reason(problem, found)
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise SettingsError(f"settings: {'; '.join(reasons)}") from None
    settings._origins = {name: one.origin for name, one in found.items()}  # noqa: SLF001  not a field
    settings._misspelt = _misspelt(places.variables(), settings)  # noqa: SLF001  as above
    return settings


def variable_of(setting: str) -> str:
    """The environment variable of a setting."""
    return str(Settings.model_fields[setting].validation_alias or PREFIX + setting.upper())


@cache
def known_variables() -> frozenset[str]:
    """Variables of settings, and those of the command line."""
    others = ("LUMA_LOG_LEVEL", "LUMA_LOG_FORMAT")
    return frozenset({*map(variable_of, Settings.model_fields), *others})


def _misspelt(variables: Iterable[str], settings: Settings) -> tuple[str, ...]:
    found = misspelt_variables(variables, known_variables() | {settings.key_variable})
    for sentence in found:
        _warn_once(sentence)
    return tuple(found)


@cache
def _warn_once(sentence: str) -> None:
    logger.warning("%s", sentence)


def _reason(problem: Any, found: Mapping[str, Found]) -> str:
    """What is wrong with which setting; one that speaks of several names them itself."""
    name = ".".join(map(str, problem["loc"]))
    setting = "key" if name == variable_of("key") else name.partition(".")[0]
    said = reason_of(problem)
    if setting not in found:
        return f"{name}: {said}" if name else said
    value, origin = found[setting]
    shown = "" if setting in _SECRET or _holds_key(value, found) else f", not {_quoted(value)}"
    place = "" if origin.place is Place.ARGUMENT else f" ({origin.text})"
    return f"{setting}: {said}{shown}{place}"


def _holds_key(value: object, found: Mapping[str, Found]) -> bool:
    """Whether somebody has put the key into another setting."""
    key = found["key"].value if "key" in found else ""
    text = key.get_secret_value() if isinstance(key, SecretStr) else str(key)
    return bool(text) and text in str(value)


def _quoted(value: object) -> str:
    return plain(repr(str(value)), _SHOWN)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
