"""What is made in one place and shown in another: nothing of it is left out."""

from __future__ import annotations

import re
from pathlib import Path

STATIC = Path(__file__).parent.parent / "connector/report/static"


def returned_by(script: str) -> str:
    """What a script gives to the others."""
    return (STATIC / script).read_text(encoding="utf-8").rpartition("\n  return {")[2]


def test_each_chart_has_its_place_in_the_page() -> None:
    made = re.findall(r"^    (\w+)[,:]", returned_by("charts.js"), re.MULTILINE)
    for name in ("turnaround.js", "prompt_charts.js"):
        made += re.findall(r"(\w+)(?:: \w+)?(?:,| })", returned_by(name))
    places = re.findall(r'data-chart="(\w+)"', (STATIC / "page.html").read_text(encoding="utf-8"))
    assert sorted(made) == sorted(places)
    assert len(made) > 15
