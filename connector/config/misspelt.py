"""Variables that look like those of a setting but are none."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

PREFIXES: Final = ("LUMA_", "LUMAAI_")


def misspelt_variables(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Say which of these variables, in any letter case, are perhaps meant to be a known one."""
    unknown = {name.upper() for name in names} - {*known}
    found = []
    for name in sorted(name for name in unknown if name.startswith(PREFIXES)):
        # Without the prefix, which all share and which would make all alike.
        stems = {_stem(one): one for one in known}
        near = difflib.get_close_matches(_stem(name), stems, n=1, cutoff=0.6)
        if near:
            found.append(f"{name} is not a variable of any setting: did you mean {stems[near[0]]}?")
    return found


def _stem(name: str) -> str:
    return name.removeprefix("LUMAAI_").removeprefix("LUMA_")
