"""The report: one HTML page that shows what a warehouse holds and opens offline.

::

    tables -> figures (counts, turnaround, prompts) -> charts, words -> page

`figures` reads the numbers, `charts` and `contents` decide how to show them, `page` writes the
file. Nothing here writes to the warehouse.
"""

from __future__ import annotations

from connector.report.page import Report, write_report

__all__ = ["Report", "write_report"]
