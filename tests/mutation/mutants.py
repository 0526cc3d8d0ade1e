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
import gc
import importlib.abc
import importlib.util
import inspect
import io
import os
import random
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
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

PRELOADED = ("msgspec", "tomllib", "difflib", "hypothesis.strategies")
EXAMPLES = 40
OUTSIDE = "not tshark and not scapy and not installed_package"
"""Tests that start another program take longer than a mutant may."""
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--ignore-glob=*scapy*", "-m", "not kernel")
OPTIONS += ("-k", OUTSIDE, "-o", "addopts=--import-mode=importlib")
PATIENCE = 20
"""Seconds of processor time a mutant may take, however busy the machine is; one that loops for ever is noticed."""

_MESSAGES = frozenset({"SocklabError", "UsageError", "LessonError", "Unmeasured", "refuse", "_cut"})
"""What is said when something is refused: its wording is no behaviour, and is left alone."""
_LEFT_ALONE = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Decorator)


class Mutant(NamedTuple):
    path: Path
    line: int
    before: str
    after: str
    changed: Callable[[], str]

    @property
    def source(self) -> str:
        """The whole module, changed."""
        return self.changed()


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
                before, after = _text(node), _text(changed)
                if before != after:
                    yield Mutant(path, positions[node].start.line, before, after, _replaced(wrapper, node, changed))


def _replaced(wrapper: MetadataWrapper, node: cst.CSTNode, changed: cst.CSTNode) -> Callable[[], str]:
    return lambda: cst.ensure_type(wrapper.module.deep_replace(node, changed), cst.Module).code


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
                inner._hypothesis_internal_use_settings,
                max_examples=EXAMPLES,
                database=None,
                derandomize=True,
                deadline=None,
            )
        items[:] = [item for item in items if item not in drawn] + drawn


def noticed(mutant: Mutant | None, tests: tuple[str, ...]) -> bool:
    """Whether the tests refuse the mutant, imported from scratch. None: nothing is changed, and they must not."""

    def run() -> bool:
        if mutant is not None:
            compiled = compile(mutant.source, mutant.path, "exec", dont_inherit=True)
            sys.meta_path.insert(0, _Changed(_module_name(mutant.path), mutant.path, compiled))
        return pytest.main([*OPTIONS, *tests], plugins=[_Quick()]) != 0

    return _in_child(run) != SURVIVED


SURVIVED, NOTICED, NOT_TOLD = b"survived", b"noticed", b""


def _in_child(run: Callable[[], bool]) -> bytes:
    """What `run` said in a child of this process; NOT_TOLD when it died or took too long."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):
            os.dup2(nowhere, stream)
        with contextlib.suppress(BaseException):
            os.write(write_end, NOTICED if run() else SURVIVED)
        os._exit(0)
    os.close(write_end)
    answer = os.read(read_end, 16)
    os.close(read_end)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return answer


# ---------------------------------------------------------------- most mutants: a function's code, changed in place


class _InPlace:
    """Runs the collected tests once for each mutant, in a child where the changed function has its new code.

    `left` are the mutants that were not refused so: those of tables and classes, of functions that had run while the
    module was imported, and those that do survive. Only importing them from scratch tells.
    """

    def __init__(self, mutants: list[Mutant]) -> None:
        self.mutants = mutants
        self.left: list[int] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        live: dict[CodeType, list[FunctionType]] = {}
        gc.unfreeze()  # what tests/conftest.py froze is not listed
        for each in gc.get_objects():
            if isinstance(each, FunctionType) and (each.__module__ or "").startswith("socklab."):
                live.setdefault(each.__code__, []).append(each)
        originals = {path: _compiled(path.read_text(), path) for path in {m.path for m in self.mutants}}
        for number, mutant in enumerate(self.mutants):
            changed = list(_changed(originals[mutant.path], _compiled(mutant.source, mutant.path)))
            known = changed and all(before is not None and before in live for before, _ in changed)
            refused = partial(self._refused, session, changed, live)
            if not known or _in_child(refused) == SURVIVED:
                self.left.append(number)
        return True

    @staticmethod
    def _refused(
        session: pytest.Session, changed: list[tuple[CodeType, CodeType]], live: dict[CodeType, list[FunctionType]]
    ) -> bool:
        for before, after in changed:
            for function in live[before]:
                try:
                    function.__code__ = after
                except ValueError:  # it closes over other names now
                    return False
        for item, following in zip(session.items, [*session.items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return True
        return False


def _compiled(source: str, path: Path) -> CodeType:
    return compile(source, str(path), "exec", dont_inherit=True)


def _changed(before: CodeType, after: CodeType) -> Iterator[tuple[CodeType | None, CodeType]]:
    """Functions whose code is another one, before and after; (None, ...) where what is outside of functions changed."""
    if before.co_flags & inspect.CO_OPTIMIZED:
        if before != after:
            yield before, after
        return
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (before, after)]
    own = [[repr(c) for c in code.co_consts if not isinstance(c, CodeType)] for code in (before, after)]
    if (before.co_code, before.co_names, own[0]) != (after.co_code, after.co_names, own[1]):
        yield None, after
        return
    for one, other in zip(*inner, strict=True):
        yield from _changed(one, other)


def survivors(found: list[Mutant], tests: tuple[str, ...]) -> Iterator[Mutant]:
    """The mutants that the tests let pass."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.redirect_stdout(io.StringIO()):
            each = _InPlace(found)
            pytest.main([*OPTIONS, *tests], plugins=[_Quick(), each])
        with os.fdopen(write_end, "w") as out:
            out.write(" ".join(map(str, each.left)))
        os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as told:
        left = [int(number) for number in told.read().split()]
    os.waitpid(child, 0)
    print(f"... {len(found) - len(left)} of {len(found)} refused in place, {len(left)} to import", file=sys.stderr)
    yield from (found[number] for number in left if not noticed(found[number], tests))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("package", choices=sorted(PACKAGES))
    parser.add_argument("--module", default="", help="only this file of the package")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N of the mutants, drawn the same each time")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
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
        found = [found[place] for place in sorted(random.sample(range(len(found)), asked.sample))]
    survived = 0
    for mutant in survivors(found, tests):
        survived += 1
        where = f"{mutant.path.relative_to(ROOT)}:{mutant.line}"
        print(f"{where}: {_short(mutant.before)}  ->  {_short(mutant.after)}", flush=True)
    share = 100 * (len(found) - survived) / max(1, len(found))
    print(f"{asked.package}: {len(found)} mutants, {survived} survived, {share:.1f} % noticed", flush=True)
    return 0


def _short(text: str) -> str:
    return " ".join(text.split())[:90]


if __name__ == "__main__":
    raise SystemExit(main())
