"""What commands share: printing, and fast imports."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING, Any, Final

from connector.cli.mode import Mode

if TYPE_CHECKING:
    from rich.console import Console


# Columns where the output is no terminal: more than any table has.
PIPED_WIDTH: Final = 2_000


class _NoPandas(MetaPathFinder):
    """Hides pandas from an import."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002  given by position
        if fullname == "pandas":
            raise ImportError(fullname)


def import_pyarrow() -> None:
    """Import pyarrow in the way that costs least; only for a process of our own.

    - Its first array imports pandas, which costs 0.5 s and 50 MB, and no command needs it. Hidden
      once, pandas stays unimported until something really asks for it.
    - After a commit, its default allocator, mimalloc, holds about 100 MB more than jemalloc, which
      Arrow for Linux always includes.
    """
    if sys.platform == "linux":
        os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa  # noqa: PLC0415  see above

        pa.array([])
    finally:
        sys.meta_path.remove(finder)


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
        stderr=stderr, soft_wrap=not is_read, width=None if is_read else PIPED_WIDTH, quiet=is_mute
    )
