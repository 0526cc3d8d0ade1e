"""Changes the code of one pure package in one place at a time, and asks whether its tests notice.

In: the name of a package (see PACKAGES). Out: how many changed versions ("mutants") the tests refuse, and each that
they let pass, as file, line and change. The changes are mutmut's; they are made here, because mutmut itself leaves out
decorated functions, properties and tables at the top of a module, and most of these packages are just that.

Every mutant runs in a child of one process that has imported the test tools: no file is changed, and a mutant costs
the tests alone. `python tests/mutation/mutants.py state` (needs the extra `mutation`).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.abc
import importlib.util
import io
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import hypothesis
import libcst as cst
import pytest
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOT = Path(__file__).resolve().parents[2]

PACKAGES: dict[str, tuple[str, ...]] = {
    "state": ("tests/state",),
    "core": ("tests/core",),
    "packets": ("tests/packets",),
    "probes": ("tests/probes",),
    "lesson": ("tests/lesson",),
    "guide": ("tests/guide",),
}
"""Package to the tests that must notice. They run no program and no other tool."""

PRELOADED = ("msgspec", "pytest_asyncio", "tomllib", "difflib", "hypothesis.strategies")
EXAMPLES = 40
OUTSIDE = "not tshark and not scapy and not installed_package"
"""Tests that start another program take longer than a mutant may."""
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--ignore-glob=*scapy*", "-m", "not kernel")
OPTIONS += ("-k", OUTSIDE)
PATIENCE = 20.0
"""Seconds a mutant may take; one that hangs is noticed."""

_MESSAGES = frozenset({"SocklabError", "UsageError", "LessonError", "Unmeasured", "refuse", "_cut"})
"""What is said when something is refused: its wording is no behaviour, and is left alone."""
_LEFT_ALONE = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator)


class Mutant(NamedTuple):
    path: Path
    line: int
    before: str
    after: str
    source: str
    """The whole module, changed."""


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of one module."""
    wrapper = MetadataWrapper(cst.parse_module(path.read_text(encoding="utf-8")))
    positions = wrapper.resolve(PositionProvider)
    finder = _Finder()
    wrapper.module.visit(finder)
    for node in finder.nodes:
        for kind, operator in mutation_operators:
            if operator is operator_string or not isinstance(node, kind):
                continue
            for changed in operator(node):
                module = wrapper.module.deep_replace(node, changed)
                before, after = _text(node), _text(changed)
                if before != after:
                    yield Mutant(path, positions[node].start.line, before, after, module.code)


class _Finder(cst.CSTVisitor):
    """The nodes that may be changed, in the order of the source."""

    def __init__(self) -> None:
        self.nodes: list[cst.CSTNode] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, _LEFT_ALONE) or _says_something(node) or _is_for_types(node):
            return False
        self.nodes.append(node)
        return True


def _says_something(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.Call):
        return isinstance(node, cst.FormattedString)
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    return isinstance(name, cst.Name) and name.value in _MESSAGES


def _is_for_types(node: cst.CSTNode) -> bool:
    """TypeVar, TypeAlias, __all__, if TYPE_CHECKING: nothing that runs."""
    if isinstance(node, cst.If):
        return isinstance(node.test, cst.Name) and node.test.value == "TYPE_CHECKING"
    if isinstance(node, cst.AnnAssign):
        return "TypeAlias" in _text(node.annotation.annotation)
    if isinstance(node, cst.Assign):
        return "TypeVar(" in _text(node.value) or _text(node.targets[0].target) == "__all__"
    if isinstance(node, cst.FunctionDef):  # frozen=True and the like are decorators' and classes' arguments
        return node.name.value == "__repr__"
    return isinstance(node, cst.Arg) and isinstance(node.keyword, cst.Name) and node.keyword.value in ("gc", "frozen")


def _text(node: cst.CSTNode) -> str:
    return cst.Module([]).code_for_node(node).strip()


# ---------------------------------------------------------------- one mutant, in a child


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from changed source, every other as it is."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self.name, self.path, self.code = name, path, code

    def find_spec(self, name: str, path: object = None, target: object = None):  # type: ignore[no-untyped-def]
        if name != self.name:
            return None
        package = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        return importlib.util.spec_from_file_location(name, self.path, loader=self, submodule_search_locations=package)

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self.code, module.__dict__)


def _module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


class _Quick:
    """Tests of given values go first; of drawn values a few are enough, and the same ones each time."""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        drawn = [item for item in items if hasattr(item.obj, "hypothesis")]
        for item in drawn:
            test = item.obj
            inner = getattr(test, "__func__", test)
            inner._hypothesis_internal_use_settings = hypothesis.settings(
                inner._hypothesis_internal_use_settings, max_examples=EXAMPLES, database=None, derandomize=True
            )
        items[:] = [item for item in items if item not in drawn] + drawn


def _run_tests(tests: tuple[str, ...]) -> int:
    return int(pytest.main([*OPTIONS, *tests], plugins=[_Quick()]))


def noticed(mutant: Mutant | None, tests: tuple[str, ...]) -> bool:
    """Whether the tests refuse the mutant. None: nothing is changed, and they must not."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            os.setpgid(0, 0)
            code = 99
            with contextlib.suppress(BaseException):
                if mutant is not None:
                    name = _module_name(mutant.path)
                    compiled = compile(mutant.source, mutant.path, "exec", dont_inherit=True)
                    sys.meta_path.insert(0, _Changed(name, mutant.path, compiled))
                code = _run_tests(tests)
            os.write(write_end, bytes([min(code, 99)]))
            os._exit(0)
    os.close(write_end)
    ready, _, _ = select.select([read_end], [], [], PATIENCE)
    answer = os.read(read_end, 1) if ready else b""
    os.close(read_end)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer != b"\0"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("package", choices=sorted(PACKAGES))
    parser.add_argument("--module", default="", help="only this file of the package")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N of the mutants, drawn the same each time")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = True
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    tests = PACKAGES[asked.package]
    if noticed(None, tests):
        print(f"The tests of {asked.package} fail without any change: python -m pytest {' '.join(tests)}")
        return 2
    paths = sorted((ROOT / "socklab" / asked.package).glob(asked.module or "*.py"))
    found = [mutant for path in paths for mutant in mutants(path)]
    if asked.sample and asked.sample < len(found):
        random.seed(asked.seed)
        found = sorted(random.sample(found, asked.sample))
    began, survived = time.monotonic(), 0
    for number, mutant in enumerate(found, 1):
        if not noticed(mutant, tests):
            survived += 1
            where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
            print(f"{where}: {_short(mutant.before)}  ->  {_short(mutant.after)}", flush=True)
        if number % 200 == 0:
            print(f"... {number} of {len(found)}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    share = 100 * (len(found) - survived) / max(1, len(found))
    print(f"{asked.package}: {len(found)} mutants, {survived} survived, {share:.1f} % noticed", flush=True)
    return 0


def _short(text: str) -> str:
    return " ".join(text.split())[:90]


if __name__ == "__main__":
    raise SystemExit(main())
