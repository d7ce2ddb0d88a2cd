"""Imports pyarrow at the least cost."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """Hides pandas from an import."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:  # noqa: ARG002  given by position
        if fullname == "pandas":
            raise ImportError(fullname)


def import_pyarrow(*, is_own_process: bool = True) -> None:
    """Import pyarrow without pandas, and with another allocator in a process of our own.

    Its first array imports pandas, which costs 0.5 s and 50 MB, and no run needs it. Hidden once,
    pandas stays unimported until something really asks for it. After a commit, the default
    allocator, mimalloc, holds about 100 MB more than jemalloc, which Arrow for Linux always has.
    With one arena, threads reuse what others have freed, and it holds another 50 MB less. NumPy,
    which it imports, would start a thread per core for linear algebra: here it is small.
    """
    if is_own_process:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        if sys.platform == "linux":
            os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "jemalloc")
            os.environ.setdefault("JE_ARROW_MALLOC_CONF", "narenas:1")
    finder = _NoPandas()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa  # noqa: PLC0415  see above

        pa.array([])
    finally:
        sys.meta_path.remove(finder)
