"""What is made in one place and shown in another: nothing of it is left out."""

from __future__ import annotations

import re
from pathlib import Path

STATIC = Path(__file__).parent.parent / "connector/report/static"


def test_each_chart_has_its_place_in_the_page() -> None:
    charts = (STATIC / "charts.js").read_text(encoding="utf-8")
    made = re.findall(r"^    (\w+)[,:]", charts.rpartition("\n  return {\n")[2], re.MULTILINE)
    places = re.findall(r'data-chart="(\w+)"', (STATIC / "page.html").read_text(encoding="utf-8"))
    assert sorted(made) == sorted(places)
    assert len(made) > 15
