# ruff: noqa: INP001  a script, not a package
"""Run `docs/notebook.ipynb` and keep its outputs: `python -m tools.notebook docs/notebook.ipynb`.

The sandbox gives the same answers each time, so the outputs change only when the code does.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

SECONDS: Final = 120


def run(source: Path) -> nbformat.NotebookNode:
    """The notebook, run from its first cell to its last.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    notebook = nbformat.read(source, as_version=4)
    # By pipes: over TCP the kernel warns that anyone on this machine could listen.
    config = Config({"KernelManager": {"transport": "ipc"}})
    client = NotebookClient(notebook, timeout=SECONDS, record_timing=False, config=config)
    done = client.execute()
    # Which Python it was says nothing of the notebook.
    done.metadata["language_info"] = {"name": "python"}
    return done


if __name__ == "__main__":
    path = Path(sys.argv[1])
    nbformat.write(run(path), path)
