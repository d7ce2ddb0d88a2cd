"""`python -m benchmarks [--quick] [--only GROUP ...]`: measure, print, write the page."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from benchmarks import fetching, flattening, flowing, memory, page, standing, starting, throttling
from benchmarks.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUPS: Final[dict[str, Callable[..., Iterator[Figure]]]] = {
    "fetching": fetching.measure_fetching,
    "processes": fetching.measure_processes,
    "flattening": flattening.measure_flattening,
    "standing": standing.measure_standing,
    "memory": memory.measure_memory,
    "starting": starting.measure_starting,
    "flowing": flowing.measure_flowing,
    "throttling": throttling.measure_throttling,
}
COLOURS: Final = {True: "green", False: "bold red", None: ""}


def main() -> int:
    """Run the named groups, or all; a failed group is reported and does not stop the others."""
    parser = argparse.ArgumentParser(description="Performance, compared with alternatives.")
    parser.add_argument("--quick", action="store_true", help="smaller numbers, three minutes")
    parser.add_argument(
        "--only", nargs="+", choices=GROUPS, help="only these groups, without the page"
    )
    options = parser.parse_args()
    console, found, failed = Console(highlight=False), [], 0
    for name in options.only or GROUPS:
        started = time.monotonic()
        try:
            for figure in GROUPS[name](quick=options.quick):
                found.append(figure)
                _print(console, figure)
        except Exception as error:  # noqa: BLE001  the other groups must still run
            failed += 1
            reason = " ".join(str(error).replace("|", "/").split())[-200:]
            found.append(Figure(f"Cut short: {name}", reason, "did not run", is_met=False))
            console.print(Text(f"{name} failed: {error}", "bold red"))
        console.print(Text(f"  {name}: {time.monotonic() - started:.0f} s", "dim"))
    if not (options.quick or options.only):
        page.write_page(found)
    return int(failed > 0)


def _print(console: Console, figure: Figure) -> None:
    line = Text(f"{figure.shown:>16}  {figure.target:<12}  ", COLOURS[figure.is_met])
    console.print(line + Text(figure.name, ""), soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
