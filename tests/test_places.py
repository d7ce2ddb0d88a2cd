"""What is made in one place and shown in another: nothing of it is left out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from connector.report.charts import charts
from connector.report.figures import read_figures
from connector.warehouse.warehouse import Warehouse

PAGE = Path(__file__).parent.parent / "connector/report/static/page.html"


def test_each_chart_has_its_place_in_the_page(tmp_path: Path) -> None:
    with Warehouse.writing(tmp_path / "warehouse"):
        pass
    made = charts(read_figures(str(tmp_path / "warehouse"), datetime.now(UTC)))
    places = re.findall(r'data-chart="(\w+)"', PAGE.read_text(encoding="utf-8"))
    assert sorted(made) == sorted(places)
