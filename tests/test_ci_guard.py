"""An unattended run of the whole suite in which no kernel test ran must fail: it proved nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
SKIPPED = "import pytest\n@pytest.mark.kernel\ndef test_kernel() -> None:\n    pytest.skip('refused')\n"
RUNS = "import pytest\n@pytest.mark.kernel\ndef test_kernel() -> None:\n    pass\n"
OTHER = "def test_other() -> None:\n    pass\n"


def suite(folder: Path, *files: str, under: str = "tests") -> None:
    (folder / under).mkdir(parents=True)
    shutil.copy(CONFTEST, folder / "tests" / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nmarkers = kernel\n")
    for number, text in enumerate(files):
        (folder / under / f"test_{number}.py").write_text(text)


def run(folder: Path, *args: str, ci: str = "true") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""}
    unused = [word for name in ("cacheprovider", "asyncio", "hypothesispytest") for word in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", *unused, *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_no_kernel_test_ran_is_a_failure_with_its_reason(tmp_path: Path, workers: str) -> None:
    suite(tmp_path, SKIPPED, OTHER)
    done = run(tmp_path, "-n", workers)
    assert done.returncode == 1
    assert "not one test marked `kernel` ran" in done.stdout


def test_a_folder_of_that_name_makes_no_kernel_test(tmp_path: Path) -> None:
    suite(tmp_path, OTHER, under="tests/kernel")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "kernel tests: 0 ran, 0 skipped" in done.stdout


@pytest.mark.parametrize("workers", ["0", "2"])
def test_one_that_ran_is_enough(tmp_path: Path, workers: str) -> None:
    suite(tmp_path, SKIPPED, RUNS, OTHER)
    done = run(tmp_path, "-n", workers)
    assert done.returncode == 0, done.stdout
    assert "kernel tests: 1 ran, 1 skipped" in done.stdout


def test_a_single_file_or_a_machine_of_ones_own_is_not_held_to_it(tmp_path: Path) -> None:
    suite(tmp_path, SKIPPED, OTHER)
    assert run(tmp_path, "tests/test_1.py").returncode == 0
    assert run(tmp_path, "-k", "other").returncode == 0
    assert run(tmp_path, ci="").returncode == 0


@pytest.mark.parametrize(
    ("words", "options", "shared"),
    [
        ([], {}, True),
        (["tests/kernel", "tests/packets"], {}, True),
        (["tests/test_cli.py"], {}, False),
        (["tests/test_cli.py::test_one"], {}, False),
        ([], {"capture": "no"}, False),
        ([], {"lf": True}, False),
    ],
)
def test_folders_are_for_several_workers_and_a_file_or_a_second_try_is_not(
    words: list[str], options: dict[str, object], shared: bool
) -> None:
    spec = importlib.util.spec_from_file_location("conftest_of_tests", CONFTEST)
    assert spec is not None and spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    config = SimpleNamespace(args=words, option=SimpleNamespace(**{"capture": "fd", "lf": False, **options}))
    workers = conftest.pytest_xdist_auto_num_workers(config)
    assert workers > len(os.sched_getaffinity(0)) if shared else workers == 0
