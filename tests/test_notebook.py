"""`docs/notebook.ipynb` runs from its first cell to its last, and shows what it shows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (extra test)")
pytest.importorskip("nbclient", reason="nbclient is not installed (extra test)")

from tools.notebook import run  # noqa: E402  needs both

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTEBOOK = Path(__file__).parent.parent / "docs/notebook.ipynb"


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    for name in ("LUMAAI_API_KEY", "LUMA_BASE_URL", "LUMA_WAREHOUSE"):
        monkeypatch.delenv(name, raising=False)


def shown(notebook: Any) -> Iterator[str]:
    """What each cell of code shows, as text."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            yield output.get("text") or output["data"]["text/plain"]


def test_the_notebook_shows_what_it_is_committed_with() -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    done = list(shown(run(NOTEBOOK)))
    assert len(done) >= 5
    assert done == list(shown(committed)), "run `make docs` and commit docs/notebook.ipynb"
