"""The arrows between the rooms, held: one direction, no circle, nothing loose."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*(ROOT / "connector").rglob("*.py"), *(ROOT / "flows").rglob("*.py")])

# What a room may import of the project besides itself, type-only imports included.
BASE = {"connector.errors", "connector.summary", "connector.version", "connector.words"}
RECORD = {"connector.record", *BASE}
MAY_IMPORT = {
    "connector.errors": {"connector.summary"},
    "connector.summary": set(),
    "connector.version": set(),
    "connector.words": set(),
    "connector.record": set(),
    "connector.marts": {"connector.record"},
    "connector.config": {
        "connector.errors",
        "connector.record",
        "connector.storage.file_url",
        "connector.words",
    },
    "connector.settings": {"connector.config", "connector.errors", "connector.words"},
    "connector.storage": RECORD,
    "connector.task_ids": {*RECORD, "connector.storage"},
    "connector.gateway": RECORD,
    "connector.metrics": {*BASE, "connector.storage"},
    "connector.warehouse": {
        *RECORD,
        "connector.settings",
        "connector.storage",
        "connector.marts",
    },
    "connector.report": {*RECORD, "connector.storage", "connector.marts", "connector.warehouse"},
    "connector.export": {*RECORD, "connector.storage", "connector.warehouse"},
    "connector.run": {
        *RECORD,
        "connector.config",
        "connector.settings",
        "connector.task_ids",
        "connector.gateway",
        "connector.metrics",
        "connector.warehouse",
    },
    "connector.sandbox": set(),
    "connector.cli": {"connector"},
    "connector.__main__": {"connector"},
    "connector": {"connector"},
    "flows": {"connector"},
}


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(path): path for path in MODULES}


@cache
def imports(path: Path) -> frozenset[str]:
    """All that a file imports, type-only imports included, as `module.name`."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def modules(path: Path) -> set[str]:
    """Modules of the project that a file imports."""
    found = set()
    for imported in imports(path):
        parts = imported.split(".")
        prefixes = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        found |= set([name for name in prefixes if name in NAMES][:1])
    return found - {name_of(path)}


def is_of(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def room_of(module: str) -> str:
    """The room that a module is in."""
    rooms = [room for room in MAY_IMPORT if is_of(module, {room})]
    return max(rooms, key=len)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_downwards(path: Path) -> None:
    room = room_of(name_of(path))
    allowed = MAY_IMPORT[room] | {room}
    wrong = {module for module in modules(path) if not is_of(module, allowed)}
    assert not wrong, f"{path.relative_to(ROOT)} is in {room} and imports {wrong}"


def test_there_is_no_circle() -> None:
    arrows = {name: modules(path) for name, path in NAMES.items()}
    # A package's `__init__` is imported with each of its modules, but does not wait for them.
    arrows = {name: {to for to in found if to != "connector"} for name, found in arrows.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for target in sorted(arrows[module]):
                visit(target, (*trail, module))
            done.add(module)

    for module in arrows:
        visit(module, ())


def test_nothing_is_loose() -> None:
    """The top of `connector` has only what the layout names; each room says what it is for."""
    loose = {path.name for path in (ROOT / "connector").glob("*.py")}
    assert loose == {
        *("__init__.py", "__main__.py", "errors.py", "settings.py", "summary.py"),
        *("version.py", "words.py"),
    }
    rooms = {path for path in (ROOT / "connector").iterdir() if any(path.glob("*.py"))}
    assert {f"connector.{room.name}" for room in rooms} <= MAY_IMPORT.keys()
    for room in rooms:
        assert ast.get_docstring(ast.parse((room / "__init__.py").read_text())), room


def test_only_flows_imports_prefect() -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / "connector"):
            assert not {m for m in imports(path) if is_of(m, {"prefect", "flows"})}, path


@pytest.mark.parametrize("room", ["record", "marts"])
def test_some_rooms_are_pure(room: str) -> None:
    """No files, no network, no clock, no randomness."""
    impure = {"os", "io", "pathlib", "requests", "socket", "time", "random", "logging", "secrets"}
    for path in (ROOT / "connector" / room).rglob("*.py"):
        assert not {m for m in imports(path) if is_of(m, impure)}, path
        assert ".now(" not in path.read_text(), path
