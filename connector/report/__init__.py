"""The report: one HTML page that shows what a warehouse holds and opens offline.

::

    tables -> facts, chosen, prompts -> cube, spans, tasks -> figures -> contents -> page

`facts` reads the generations, `cube` counts them, `contents` says what the page shows, and `page`
writes the file. The scripts in `static/` draw the charts. Nothing here writes to the warehouse.
"""

from __future__ import annotations

from connector.report.page import Report, write_report

__all__ = ["Report", "write_report"]
