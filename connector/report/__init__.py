"""The report: one HTML page on what a warehouse holds, which opens offline.

::

    tables -> figures (counts, turnaround, prompts) -> charts, words -> page

`figures` are numbers and texts as they are; `charts` and `contents` say how they are shown;
`page` makes one file of it all. Nothing here writes to the warehouse.
"""

from __future__ import annotations

from connector.report.page import Report, write_report

__all__ = ["Report", "write_report"]
