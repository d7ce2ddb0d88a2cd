"""`python -m benchmarks [--quick] [--only GROUP ...]`: measure, print, and write the page."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from benchmarks import (
    fetching,
    flattening,
    flowing,
    memory,
    page,
    standing,
    starting,
    throttling,
)
from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUPS: Final[dict[str, Callable[..., Iterator[Figure]]]] = {
    "fetching": fetching.figures,
    "flattening": flattening.figures,
    "standing": standing.figures,
    "memory": memory.figures,
    "starting": starting.figures,
    "flowing": flowing.figures,
    "throttling": throttling.figures,
}
COLOURS: Final = {True: "green", False: "bold red", None: ""}


def main() -> int:
    """Run what was named, or all; a group that fails is told, and ends nothing."""
    parser = argparse.ArgumentParser(description="What it costs, beside what people use today.")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, in three minutes")
    parser.add_argument("--only", nargs="+", choices=GROUPS, help="these groups, and no page")
    options = parser.parse_args()
    console, found, failed = Console(highlight=False), [], 0
    for name in options.only or GROUPS:
        started = time.monotonic()
        try:
            for figure in GROUPS[name](quick=options.quick):
                found.append(figure)
                _print(console, figure)
        except Exception as error:  # noqa: BLE001  the other groups are still to come
            failed += 1
            reason = " ".join(str(error).replace("|", "/").split())[-200:]
            found.append(Figure(f"Cut short: {name}", reason, "did not run", is_met=False))
            console.print(Text(f"{name} failed: {error}", "bold red"))
        console.print(Text(f"  {name}: {time.monotonic() - started:.0f} s", "dim"))
    if not (options.quick or options.only):
        page.write(found)
    return int(failed > 0)


def _print(console: Console, figure: Figure) -> None:
    line = Text(f"{figure.shown:>16}  {figure.target:<12}  ", COLOURS[figure.is_met])
    console.print(line + Text(figure.name, ""), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
