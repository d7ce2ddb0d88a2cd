"""What commands share: printing."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from connector.cli.mode import Mode

if TYPE_CHECKING:
    from rich.console import Console


# Columns where the output is not a terminal: more than any table has.
PIPED_WIDTH: Final = 2_000

# Settings that texts of other packages name in backquotes, as Python and the flow know them.
OPTIONS: Final = (
    "allow_http|api|base_url|column|config|give_up_after|ids_per_request|keep|lock_timeout|max_wait"
    "|query|retry_rejected"
)
_SETTING: Final = re.compile(rf"`({OPTIONS})(?:=([^`]*))?`")


def as_options(text: str) -> str:
    """A text as people at a command line know it: `--max-wait` for max_wait in backquotes."""
    return _SETTING.sub(_option, text)


def _option(setting: re.Match[str]) -> str:
    name, value = setting.groups()
    return f"--{name.replace('_', '-')}" + (f" {value}" if value else "")


def print_json(value: dict[str, Any]) -> None:
    """Print one JSON object on one line."""
    import orjson  # noqa: PLC0415  see above

    sys.stdout.write(orjson.dumps(value, default=_as_json).decode() + "\n")


def _as_json(value: Any) -> object:
    """Convert what orjson cannot: a named tuple to an object, anything else to text."""
    return value._asdict() if hasattr(value, "_asdict") else str(value)


def console(*, stderr: bool = False) -> Console:
    """Rich's console; a function, because Rich takes long to import."""
    from rich.console import Console  # noqa: PLC0415  see above

    # Never wrapped where no person reads it: `grep` and `cut` take lines as they are.
    is_read = (sys.stderr if stderr else sys.stdout).isatty()
    is_mute = Mode.is_quiet and not stderr
    return Console(
        stderr=stderr,
        soft_wrap=not is_read,
        width=None if is_read else PIPED_WIDTH,
        quiet=is_mute,
        emoji=False,  # a prompt with :cat: in it is shown as it is, and no list of them is read
    )
