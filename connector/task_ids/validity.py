"""Which texts can be task IDs: the same rule for one, and for a column of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

LONGEST = 256
_SHOWN = 60

# Bytes that cannot be decoded become this character, so an ID that holds it was misread.
UNREADABLE = "\ufffd"

# A client resolves these before it sends the URL, and would ask for another path.
_CHANGE_THE_PATH = (".", "..")
_CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029"
_FORBIDDEN = re.compile(f"[{_CONTROL}\ud800-\udfff]")


def unreadable(what: str) -> str:
    """A text for a value that cannot be read: it is not valid, and `why_invalid` says `what`."""
    return f"{UNREADABLE} {what}"


def is_valid(task_id: str) -> bool:
    """Whether `task_id` can be asked for: 1 to 256 readable characters, no control characters."""
    return not why_invalid(task_id)


def why_invalid(task_id: str) -> str:
    """Which text it is, safe to print, and what is wrong with it; "" if it is valid."""
    if task_id.startswith(f"{UNREADABLE} "):
        return task_id.removeprefix(f"{UNREADABLE} ")
    fault = _fault(task_id)
    return fault and f"{task_id[:_SHOWN]!r}{'…' * (len(task_id) > _SHOWN)}: {fault}"


def _fault(task_id: str) -> str:
    if not task_id:
        return "it is blank"
    if task_id in _CHANGE_THE_PATH:
        return "it would change the path of the URL"
    if UNREADABLE in task_id:
        return "part of it could not be read as text; is the file UTF-8?"
    if len(task_id) > LONGEST:
        return f"it is {len(task_id):,} characters long, and at most {LONGEST} are allowed"
    if forbidden := _FORBIDDEN.search(task_id):
        return f"it holds a control character (U+{ord(forbidden[0]):04X})"
    return ""


def valid_mask(task_ids: pa.StringArray) -> pa.BooleanArray:
    """`is_valid` of each of `task_ids`, which has no nulls."""
    # Here because the command line imports this module before it needs pyarrow (0.2 s).
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.compute as pc  # noqa: PLC0415

    harmless = pc.ascii_is_printable(task_ids)
    if not pc.all(harmless).as_py():
        # Ten times slower, and needed only where there is more than plain ASCII.
        forbidden = pc.match_substring_regex(task_ids, f"[{_CONTROL}{UNREADABLE}]")
        harmless = pc.or_(harmless, pc.invert(forbidden))
    length = pc.utf8_length(task_ids)
    fits = pc.and_(pc.greater(length, 0), pc.less_equal(length, LONGEST))
    moves = pc.is_in(task_ids, value_set=pa.array(_CHANGE_THE_PATH))
    return pc.and_(pc.and_(harmless, fits), pc.invert(moves))
