"""An unattended run of the whole suite in which no kernel test ran must fail: it proved nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent / "conftest.py"
SKIPPED = "import pytest\n@pytest.mark.kernel\ndef test_kernel() -> None:\n    pytest.skip('refused')\n"
RUNS = "import pytest\n@pytest.mark.kernel\ndef test_kernel() -> None:\n    pass\n"
OTHER = "def test_other() -> None:\n    pass\n"


def suite(folder: Path, *files: str) -> None:
    (folder / "tests").mkdir()
    shutil.copy(CONFTEST, folder / "tests" / "conftest.py")
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nmarkers = kernel\n")
    for number, text in enumerate(files):
        (folder / "tests" / f"test_{number}.py").write_text(text)


def run(folder: Path, *args: str, ci: str = "true") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "CI": ci, "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *args]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("files", [(SKIPPED, OTHER), (OTHER,)])
def test_no_kernel_test_ran_is_a_failure_with_its_reason(tmp_path: Path, files: tuple[str, ...]) -> None:
    suite(tmp_path, *files)
    done = run(tmp_path)
    assert done.returncode == 1
    assert "not one test marked `kernel` ran" in done.stdout


def test_one_that_ran_is_enough(tmp_path: Path) -> None:
    suite(tmp_path, SKIPPED, RUNS, OTHER)
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "kernel tests: 1 ran, 1 skipped" in done.stdout


def test_a_single_file_or_a_machine_of_ones_own_is_not_held_to_it(tmp_path: Path) -> None:
    suite(tmp_path, SKIPPED, OTHER)
    assert run(tmp_path, "tests/test_1.py").returncode == 0
    assert run(tmp_path, "-k", "other").returncode == 0
    assert run(tmp_path, ci="").returncode == 0
