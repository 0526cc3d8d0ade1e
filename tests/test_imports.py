"""Imports go one way: the contracts hold between packages, this holds between modules."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path, modules: set[str]) -> set[str]:
    """Those inside functions and for type checkers only as well: who reads one has to read the other."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{each.name}" for each in node.names}
            found |= (whole & modules) or {node.module}
    return found & modules - {_name(path)}


def test_no_module_imports_itself_through_others() -> None:
    files = sorted((ROOT / "socklab").rglob("*.py"))
    modules = {_name(path) for path in files}
    graph = {_name(path): _imported(path, modules) for path in files}
    assert len(graph) > 200 and sum(map(len, graph.values())) > 1000
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
