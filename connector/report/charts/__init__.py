"""The charts: from figures to Vega-Lite, one function per chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from connector.report.charts import activity, outcomes, timing

if TYPE_CHECKING:
    from connector.report.charts.marks import Spec
    from connector.report.figures import Figures


class View(NamedTuple):
    """A chart, or one of several in the same place, chosen by `label`."""

    label: str
    spec: Spec


def charts(figures: Figures) -> dict[str, list[View]]:
    """All charts by their place in the page; an empty list if there is nothing to show."""
    counts, turnaround = figures.counts, figures.turnaround
    return {
        name: [View(*view) for view in views.items()]
        for name, views in {
            "activity": activity.views(counts),
            "models": outcomes.by_model(counts),
            "reasons": outcomes.reasons(counts),
            "sizes": outcomes.by_size(figures.sizes),
            "formats": outcomes.formats(figures.formats),
            "durations": outcomes.durations(counts.durations),
            "lengths": outcomes.by_length(counts),
            "rejects": outcomes.rejects(figures.rejects),
            "spread": timing.spread(turnaround),
            "stages": timing.stages(turnaround),
            "hours": timing.by_hour(turnaround),
            "turnaround_models": timing.by_model(turnaround),
        }.items()
    }
