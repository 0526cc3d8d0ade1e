"""Shared by all tests: where they run, in which order, what the workers of one run share, and what a run has proved.

A folder is tested by several workers (pytest-xdist); a file, a single test and a second try of what failed run in this
process. An unattended run (CI=true) of everything in which no `kernel` test ran is a failure. See docs/testing.md.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Generator

import pytest

os.environ["SOCKLAB_LAYOUT"] = os.devnull  # nobody's own screen is rearranged, and nobody's arranges a test's
os.environ["TEXTUAL_ANIMATIONS"] = "none"  # a screen is drawn once, as it stays

SHARED = "SOCKLAB_TESTS_SHARED"
"""Names the folder that all workers of this run share; see tests/support/shared.py."""

_ran: set[str] = set()
_skipped: set[str] = set()


# ---------------------------------------------------------------- workers


def _asked_for_all_of(config: pytest.Config) -> bool:
    """Whole folders, not some files or tests of them, nor what failed before."""
    again = getattr(config.option, "lf", False)  # only there with pytest's cache
    return not again and not any(".py" in word for word in config.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """For `-n auto`. More workers than cores: most tests of a real kernel wait for it half of the time."""
    if not _asked_for_all_of(config) or config.option.capture == "no":
        return 0
    cores = len(os.sched_getaffinity(0))
    return cores + max(1, cores // 2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no worker is left with one when the others are done."""
    items.sort(key=lambda item: "kernel" not in {mark.name for mark in item.iter_markers()})


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # a worker of pytest-xdist has its environment from the one that started it
        return
    shared = tempfile.mkdtemp(prefix="socklab-tests-")
    os.chmod(shared, 0o755)  # programs compiled here are run by other users too
    os.environ[SHARED] = shared
    config.add_cleanup(lambda: shutil.rmtree(shared, ignore_errors=True))
    if sys.prefix != sys.base_prefix:  # as where this venv is active: a .py file is run by its Python
        os.environ.setdefault("VIRTUAL_ENV", sys.prefix)
    # Hundreds of tests start an interpreter each, which would compile all of socklab again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_collection(session: pytest.Session) -> None:
    """Each worker imports its share of the test files first: in a fresh clone none is compiled by every one of them."""
    work = getattr(session.config, "workerinput", None)
    if work is None:
        return
    root = session.config.rootpath
    folders = [root / word for word in session.config.args if "::" not in word]
    files = sorted({path for folder in folders for path in folder.rglob("test_*.py")})
    for path in files[int(work["workerid"].removeprefix("gw")) :: work["workercount"]]:
        with contextlib.suppress(Exception):  # it is told when the file is collected
            importlib.import_module(".".join(path.relative_to(root).with_suffix("").parts))


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays: no collection need walk through it


# ---------------------------------------------------------------- kernel tests


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    report.of_kernel = item.get_closest_marker("kernel") is not None  # the keywords have the names of folders too
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if not getattr(report, "of_kernel", False):
        return
    if report.skipped:
        _skipped.add(report.nodeid)
    elif report.when == "call":
        _ran.add(report.nodeid)


def _asked_for_everything(config: pytest.Config) -> bool:
    """The whole suite, not a file, a keyword or a marker of it."""
    option = config.option
    chosen = option.keyword or option.markexpr or option.collectonly
    whole = config.args in ([], ["tests"], list(config.getini("testpaths")))
    return not chosen and whole and _asked_for_all_of(config)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """CI=true: no kernel test ran means that nothing was proved about the kernel."""
    if hasattr(session.config, "workerinput"):  # it sees only its share
        return
    if os.environ.get("CI") == "true" and _asked_for_everything(session.config) and not _ran:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.write_line(f"kernel tests: {len(_ran)} ran, {len(_skipped)} skipped")
    if os.environ.get("CI") == "true" and _asked_for_everything(config) and not _ran:
        terminalreporter.write_line(
            "FAILED: CI=true and not one test marked `kernel` ran; this machine must allow ptrace (socklab doctor).",
            red=True,
        )
