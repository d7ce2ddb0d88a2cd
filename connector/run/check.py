"""Checks whether a run would work: settings, key, gateway and warehouse. It changes none."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from uuid import uuid4

from connector.config.origin import Place
from connector.errors import (
    ConnectorError,
    KeyRefused,
    RunStopped,
    UsageError,
    WaitTooLong,
    WarehouseLocked,
)
from connector.gateway.apis import key_hint
from connector.gateway.batch import is_answered, says_too_many
from connector.gateway.doubt import is_elsewhere
from connector.record.answer import Outcome
from connector.run.resources import open_client
from connector.settings import Settings, load
from connector.warehouse.warehouse import Warehouse
from connector.words import hide_user

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connector.record.answer import Answer

State = Literal["ok", "note", "failed"]

UNREACHABLE: Final = {Outcome.NETWORK, Outcome.TIMEOUT, Outcome.SERVER_ERROR}
PERHAPS: Final = {
    Outcome.FORBIDDEN: "perhaps for this made-up task ID only",
    Outcome.RATE_LIMITED: "",
}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check.

    Attributes:
        name: `settings`, `key`, `gateway`, `many` or `warehouse`.
        state: `note` works, but there is something to know.
        text: For people; it never holds the key.
        exit_code: As a run that failed for this reason would end; 0 if none would.
        details: Lines that explain it: where each setting comes from.
    """

    name: str
    state: State
    text: str
    exit_code: int = 0
    details: tuple[str, ...] = ()


def check(**given: Any) -> Iterator[Check]:
    """Try everything a run needs; skip what an earlier failure makes impossible.

    Args:
        given: Settings, which take precedence over the environment and `.env`.
    """
    try:
        settings = load(**given)
    except UsageError as error:
        yield _failed("settings", error)
        return
    yield _settings(settings)
    yield (key := _key(settings))
    if not key.exit_code:
        yield _gateway(settings)
        if settings.ids_per_request > 1:
            yield _many(settings)
    yield _warehouse(settings)


def _settings(settings: Settings) -> Check:
    """The settings that are not the default, and where they come from; then the rest by name."""
    names = Settings.model_fields
    origins = {name: settings.origin(name) for name in names}
    shown = [name for name, origin in origins.items() if origin.place is not Place.DEFAULT]
    width = max(map(len, names))
    defaults = (name for name in names if name not in shown)
    return Check(
        "settings",
        "note" if settings.misspelt else "ok",
        f"gateway {_value(settings, 'base_url')}, tables in {settings.warehouse}",
        details=(
            *settings.misspelt,
            *(
                f"{name:{width}}  {_value(settings, name)}  ({origins[name].text})"
                for name in shown
            ),
            f"default: {', '.join(defaults)}",
        ),
    )


def _value(settings: Settings, name: str) -> str:
    """A setting's value, without what may be secret: an address may hold a password."""
    return "***" if name == "key" else hide_user(str(getattr(settings, name)), "***@")


def _key(settings: Settings) -> Check:
    try:
        settings.ready()
        with open_client(settings):
            pass
    except UsageError as error:
        return _failed("key", error)
    return Check("key", "ok", settings.origin("key").text.replace(" in ", " from "))


def _gateway(settings: Settings) -> Check:
    """Request a made-up task ID once."""
    started = time.monotonic()
    try:
        with open_client(settings.model_copy(update={"max_attempts": 1})) as client:
            answer = client.fetch(str(uuid4()), threading.Event())
    except KeyRefused as error:
        hint = key_hint(settings.ready().get_secret_value(), settings.api)
        text = (
            f"{settings.base_url} refuses the key (HTTP 401): set {settings.key_variable} to a"
            " valid one."
        )
        text = (text + hint) if hint else text[:-1]
        return Check("gateway", "failed", text, error.exit_code)
    except WaitTooLong as error:
        return Check("gateway", "note", str(error))
    except ConnectorError as error:
        return _failed("gateway", error)
    if answer is None:  # pragma: no cover  nobody sets the event
        raise AssertionError
    return _judged(settings.base_url, answer, time.monotonic() - started)


def _judged(base_url: str, answer: Answer, seconds: float) -> Check:
    said = f"HTTP {answer.http_status}"
    if answer.outcome in UNREACHABLE:
        return Check("gateway", "failed", f"{base_url}: {answer.message}", RunStopped.exit_code)
    if is_elsewhere(answer.outcome, answer.concerns):
        why = answer.message or said
        why = why if said in why else f"{said}, {why}"
        text = f"{base_url} is not a Dream Machine gateway ({why}): check the base URL"
        return Check("gateway", "failed", text, UsageError.exit_code)
    if answer.outcome in PERHAPS:
        return Check(
            "gateway", "note", f"{base_url} refuses ({answer.message}) {PERHAPS[answer.outcome]}"
        )
    return Check(
        "gateway",
        "ok",
        f"{base_url} does not refuse the key: {said} for a made-up task ID, in {seconds:.2f} s",
    )


def _many(settings: Settings) -> Check:
    """Ask once for as many task IDs as a request may hold, which nobody has."""
    count, base_url = settings.ids_per_request, settings.base_url
    task_ids = [str(uuid4()) for _ in range(count)]
    try:
        with open_client(settings.model_copy(update={"max_attempts": 1})) as client:
            answer = client.fetch_batch(task_ids, threading.Event())
    except ConnectorError as error:
        return Check("many", "note", str(error))
    if answer is None:  # pragma: no cover  nobody sets the event
        raise AssertionError
    if is_answered(answer):
        return Check("many", "ok", f"{base_url} answers for {count:,} task IDs in one request")
    said = answer.message or f"HTTP {answer.http_status}"
    does = "asks for fewer" if says_too_many(answer) else "asks for each singly, if that stays so"
    text = (
        f"{base_url} does not answer for {count:,} task IDs in one request ({said}): a run {does}"
    )
    return Check("many", "note", text)


def _warehouse(settings: Settings) -> Check:
    try:
        found, caveat = Warehouse.probe(settings.warehouse)
    except WarehouseLocked as error:
        return Check("warehouse", "note", str(error))
    except ConnectorError as error:
        return _failed("warehouse", error)
    text = f"can write to {settings.warehouse}"
    if found is None:
        text += ", which is new"
    else:
        text += f": {found.generations.rows():,} generations by {found.partition_by}"
    if caveat:
        return Check("warehouse", "note", f"{text}; but of {caveat}")
    return Check("warehouse", "ok", text)


def _failed(name: str, error: ConnectorError) -> Check:
    return Check(name, "failed", str(error), error.exit_code)
