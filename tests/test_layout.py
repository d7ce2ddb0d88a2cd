"""The arrows between the packages, held."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted([*(ROOT / "connector").rglob("*.py"), *(ROOT / "flows").rglob("*.py")])

MAY_IMPORT = {
    "connector.errors": set(),
    "connector.storage.address": {"connector.errors"},
    "connector.record": set(),
    "connector.storage.database_url": {"connector.errors"},
    "connector.gateway": {
        "connector.errors",
        "connector.record",
        "connector.storage.database_url",
        "connector.storage.address",
    },
    "connector.warehouse": {"connector.errors", "connector.record", "connector.storage.address"},
    "connector.sandbox": set(),
}
"""What a package may import of the project, itself and types aside."""


def imports(path: Path) -> set[str]:
    """Modules that a file imports when it runs; what only a type checker reads does not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_of(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_follow_the_data(package: str) -> None:
    place = ROOT / package.replace(".", "/")
    files = [place.with_suffix(".py")] if not place.is_dir() else place.rglob("*.py")
    for path in files:
        wrong = {
            module
            for module in imports(path)
            if is_of(module, {"connector", "flows"})
            and not is_of(module, MAY_IMPORT[package] | {package})
        }
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_only_flows_imports_prefect() -> None:
    for path in MODULES:
        if path.is_relative_to(ROOT / "connector"):
            assert not {m for m in imports(path) if is_of(m, {"prefect", "flows"})}, path


def test_record_is_pure() -> None:
    """No files, no network, no clock, no randomness in `record`."""
    impure = {"os", "io", "pathlib", "requests", "socket", "time", "random", "logging", "secrets"}
    for path in (ROOT / "connector/record").rglob("*.py"):
        assert not {m for m in imports(path) if is_of(m, impure)}, path
        assert ".now(" not in path.read_text(), path
