"""The log on standard error: lines for people, or one JSON object each for machines."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from connector.cli.mode import Mode
from connector.cli.shell import as_options, console
from connector.words import plain

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS: Final = ("text", "json")

logger = logging.getLogger("connector")


def set_up(arguments: Sequence[str]) -> None:
    """Configure the log, before the command line is parsed: errors in it are logged too."""
    variable = os.environ.get("LUMA_LOG_FORMAT", "")
    Mode.is_json = (_log_format(arguments) or variable.lower()) == "json"
    Mode.is_quiet = "--quiet" in arguments
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if Mode.is_json else TextFormatter("%(levelname)s: %(message)s")
    )
    logging.basicConfig(handlers=[handler], force=True)
    level = os.environ.get("LUMA_LOG_LEVEL", "").upper()
    usual = "INFO" if Mode.is_json and not Mode.is_quiet else "WARNING"
    logger.setLevel(usual if level not in LEVELS or (Mode.is_quiet and level != "ERROR") else level)
    # What they warn of, such as a malformed header, is in an answer's outcome or in an error.
    for name in ("urllib3", "psycopg"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for name, value, allowed in (
        ("LUMA_LOG_LEVEL", level, LEVELS),
        ("LUMA_LOG_FORMAT", variable, FORMATS),
    ):
        if value and value.lower() not in map(str.lower, allowed):
            logger.warning(
                "%s is %r: it must be one of %s", name, plain(value, 80), ", ".join(allowed)
            )
    if Mode.is_json:
        logging.captureWarnings(capture=True)
        sys.excepthook = _log_exception


def say(message: str, **fields: Any) -> None:
    """Print what a command has done, and log it where machines read the log.

    Args:
        message: For people.
        fields: The same as values.
    """
    console().print(message, markup=False, highlight=False)
    if Mode.is_json:
        logger.info("%s", message, extra={"fields": fields})


def log_error(message: str, **fields: Any) -> None:
    """Say on standard error why the process ends, without the key, should it be an argument."""
    from connector.gateway.redact import LEAST_FOR_OTHER_FORMS, Redactor  # noqa: PLC0415  rarely

    for key in {Mode.key or "", os.environ.get("LUMAAI_API_KEY", "")} - {""}:
        # A shorter one would be found in any sentence.
        if len(key) >= LEAST_FOR_OTHER_FORMS or key in sys.argv:
            redacted = Redactor(key).body(message.encode(errors="surrogateescape"))
            message = redacted.decode(errors="surrogateescape")
    if Mode.is_json:
        logger.error("%s", message, extra={"fields": fields})
        return
    console(stderr=True).print(
        f"error: {as_options(message)}", style="bold red", markup=False, highlight=False
    )


def _log_format(arguments: Sequence[str]) -> str | None:
    """The value of `--log-format`, wherever it stands."""
    for argument, following in pairwise([*arguments, ""]):
        name, _, value = argument.partition("=")
        if name == "--log-format":
            return value or following
    return None


class TextFormatter(logging.Formatter):
    """A record as a line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return as_options(super().format(record))


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: time, level, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        fields = {"logger": record.name, **getattr(record, "fields", {})}
        if record.exc_info and record.exc_info[0]:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(
            {
                "time": datetime.fromtimestamp(record.created, UTC).isoformat(
                    timespec="milliseconds"
                ),
                "level": record.levelname.lower(),
                "message": as_options(record.getMessage()),
                "fields": fields,
            },
            default=_as_json,
        )


def _as_json(value: Any) -> object:
    """A time as `--json` writes it too; anything else as text."""
    return value.isoformat() if isinstance(value, date) else str(value)


def _log_exception(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    logger.critical("%s: %s", kind.__name__, error, exc_info=(kind, error, traceback))
