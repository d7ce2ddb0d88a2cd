"""The bar of a run in a terminal."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.progress import Progress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType
    from rich.progress import Task

BAR_WIDTH: Final = 24
LEAST_BAR: Final = 6


class Bar(Progress):
    """One line that fits the terminal, however narrow: what matters least is left out first."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """See `Progress`; asked for at each refresh, so that a new width counts at once."""
        for task in self.tasks:
            if task.visible:
                yield _line_of(task, self.console.width)


def _line_of(task: Task, width: int) -> RenderableType:
    """The parts of a task's line, in their order, as far as they fit."""
    count = f"{task.completed:,.0f}/{task.total or 0:,.0f}"
    left = "" if task.time_remaining is None else f"{timedelta(seconds=int(task.time_remaining))}"
    parts = {
        "name": task.description,
        "bar": " " * LEAST_BAR,
        "count": count,
        "rate": f"{task.fields['rate']}/s",
        "left": left,
        "states": task.fields["states"],
    }
    # Those that matter most come first; the states, which may be long, take what remains.
    room, fitting = width - len(count), {"count"}
    for name in ("name", "bar", "rate", "left"):
        if parts[name] and len(parts[name]) + 1 <= room:
            fitting.add(name)
            room -= len(parts[name]) + 1
    states = Text(parts["states"], no_wrap=True)
    if states and room > min(LEAST_BAR, len(states)):
        states.truncate(room - 1, overflow="ellipsis")
        fitting.add("states")
        room -= states.cell_len + 1
    bar = ProgressBar(
        task.total, task.completed, LEAST_BAR + max(0, min(room, BAR_WIDTH - LEAST_BAR))
    )
    cells: dict[str, RenderableType] = {
        **{name: Text(part) for name, part in parts.items()},
        "bar": bar,
        "states": states,
    }
    cells["count"] = Text(count[:width])
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for _ in fitting:
        grid.add_column(no_wrap=True)
    grid.add_row(*(cell for name, cell in cells.items() if name in fitting))
    return grid
