"""Every shipped lesson, run without a screen on this machine's kernel, in each language it has a server for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from socklab import guide, lesson
from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, apply
from socklab.ui.stage.drawing import draw
from socklab.ui.view.lines import plain
from tests.support import shared
from tests.support.cut_words import cut_words

pytestmark = pytest.mark.kernel

LONGEST_RUN_S = 120.0
SIZES = ((79, 13), (79, 7), (119, 17))
"""Of the stage at 80x24, there with a question, and at 120x36."""


class Run:
    """What came of one unattended run."""

    def __init__(self) -> None:
        self.state = LabState()
        self.narrations: list[str] = []
        """What the lesson said, each time it said something new, with no prediction open."""
        self.masked: dict[int, frozenset[str]] = {}
        """Panels hidden at the moment each question was asked."""
        self.pointed: dict[int, list[tuple[bool, list[int]]]] = {}
        """Each time all was quiet at a step that points: is it there, and how many marks has each of SIZES."""
        self.cut: list[str] = []
        """Lines that cut a word on a screen of 80 by 24, at any stop."""


@lru_cache(maxsize=64)
def run_unattended(folder: Path, language: str, network: str = "auto") -> Run:
    """What came of a lesson's run. Each is run once, by whichever worker asks first, and asked often."""

    def run() -> Run:
        with shared.alone("the machine's network") if network == "machine" else nullcontext():
            return _run(folder, language, network)

    return shared.once(f"run of {folder} {language} {network}", run)


def _run(folder: Path, language: str, network: str) -> Run:
    """Step through a lesson as fast as it goes, each question answered with its first choice."""
    lab, run, stepped_at, answered = lesson.load(folder), Run(), 0, -1
    deadline = time.monotonic() + LONGEST_RUN_S
    spec = RunSpec(lesson=str(folder), language=language, network=network, unattended=True)
    with Link.start(spec) as link:
        for event in link.events(timeout=120):
            assert time.monotonic() < deadline, f"not over after {LONGEST_RUN_S} s at step {run.state.step}"
            run.state = state = apply(run.state, event)
            predict = guide.question(lab, state)
            said = guide.narration(lab, state)
            if predict is None and said and (not run.narrations or run.narrations[-1] != said):
                run.narrations.append(said)
            if isinstance(event, ev.Ready) and state.step is not None and (point := lab.steps[state.step.index].point):
                run.pointed.setdefault(state.step.index, []).append(_pointed(state, point, guide.masked(lab, state)))
            if isinstance(event, ev.Held | ev.StepReached):
                run.cut += cut_words(state, lab)
            if isinstance(event, ev.Asked):
                run.masked[event.index] = guide.masked(lab, state)
            if predict is not None and state.question is not None and answered != state.question.index:
                answered = state.question.index
                link.send(cmd.Answer(choice=predict.choices[0]))
                stepped_at = 0
            if state.lesson_done:
                link.send(cmd.Quit())
            elif state.task is not None and state.task.status == "held" and stepped_at != state.stops:
                stepped_at = state.stops
                link.send(cmd.Step())
    return run


def _pointed(state: LabState, point: str, hidden: frozenset[str]) -> tuple[bool, list[int]]:
    kind, _, what = point.partition(" ")
    assert state.task is not None
    there = {
        "client": lambda: what in state.clients,
        "listener": lambda: bool(state.listeners),
        "fd": lambda: int(what) in state.descriptors[state.task.pid],
    }
    drawn = [draw(state, *size, pointed=point, hidden=hidden) for size in SIZES]
    return there[kind](), [sum(plain(line).count("▸") for line in picture.lines) for picture in drawn]


CASES = [(name, language) for name in lesson.names() for language in lesson.load(lesson.find(name)).languages]


def skip_unless_possible(name: str, language: str) -> None:
    if language == "c" and not any(shutil.which(compiler) for compiler in ("cc", "gcc", "clang")):
        pytest.skip("no C compiler on this machine")
    for program in lesson.load(lesson.find(name)).programs:
        if not shutil.which(program):
            pytest.skip(f"no {program} on this machine")
    run = run_unattended(lesson.find(name), language)
    if run.state.header is None:
        refusals = [note.text for note in run.state.notices if "two hosts" in note.text]
        assert refusals, list(run.state.notices)
        pytest.skip(refusals[0])


@pytest.mark.parametrize(("name", "language"), CASES)
def test_every_check_of_the_lesson_holds(name: str, language: str) -> None:
    skip_unless_possible(name, language)
    lab = lesson.load(lesson.find(name))
    state = run_unattended(lesson.find(name), language).state
    wrong = {lab.checks[i].claim: c.value if not c.reason else c.reason for i, c in state.checks.items() if not c.held}
    assert wrong == {}
    assert sorted(state.checks) == list(range(len(lab.checks)))
    assert state.lesson_done
    assert [note.text for note in state.notices if note.level != "info"] == []


ANYWHERE = [case for case in CASES if lesson.load(lesson.find(case[0])).network == "any"]


@pytest.mark.parametrize("network", ["private", "machine"])
@pytest.mark.parametrize(("name", "language"), ANYWHERE)
def test_a_lesson_for_any_network_holds_on_every_one(name: str, language: str, network: str) -> None:
    skip_unless_possible(name, language)
    state = run_unattended(lesson.find(name), language, network).state
    assert state.header is not None
    if state.header.network != network:
        pytest.skip(f"no {network} network on this machine: {[note.text for note in state.notices]}")
    assert {i: check.value for i, check in state.checks.items() if not check.held} == {}
    assert state.lesson_done


def test_lessons_play_on_two_hosts_where_the_machine_has_them() -> None:
    skip_unless_possible("handshake", "python")
    state = run_unattended(lesson.find("backlog"), "python").state
    assert state.header is not None
    assert state.header.network == "two-hosts"


def test_a_lesson_that_needs_the_wire_says_so_where_there_is_none() -> None:
    command = [sys.executable, "-m", "socklab", "lesson", "handshake", "--lang", "python", "--net", "private"]
    done = subprocess.run([*command, "--plain", "--auto"], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "needs two hosts and the wire between them; --net private has none." in done.stdout
    assert "Stop 1" not in done.stdout


@pytest.mark.parametrize(("name", "language"), CASES)
def test_no_word_is_cut_on_a_small_screen_at_any_stop(name: str, language: str) -> None:
    skip_unless_possible(name, language)
    assert sorted(set(run_unattended(lesson.find(name), language).cut)) == []


@pytest.mark.parametrize(("name", "language"), CASES)
def test_every_question_is_asked_and_the_kernel_answers_with_one_of_its_choices(name: str, language: str) -> None:
    skip_unless_possible(name, language)
    lab = lesson.load(lesson.find(name))
    run = run_unattended(lesson.find(name), language)
    asked = {index: step.predict for index, step in enumerate(lab.steps) if step.predict is not None}
    assert set(run.state.answers) == set(asked)
    for index, predict in asked.items():
        answer = run.state.answers[index]
        assert answer.value in predict.choices, predict.ask
        assert answer.right == (answer.value == predict.choices[0])
        assert run.masked[index] - {"acceptqueue", "datapath", "byteorder"} == frozenset(predict.hides)


@pytest.mark.parametrize(("name", "language"), CASES)
def test_no_narration_names_what_the_kernel_did_not_say(name: str, language: str) -> None:
    skip_unless_possible(name, language)
    run = run_unattended(lesson.find(name), language)
    assert run.narrations
    settled = [said for said in run.narrations if guide.UNMEASURED not in said]
    # While a lesson acts a value may be missing for a moment; what is said last at a step must be whole.
    assert len(settled) >= len(lesson.load(lesson.find(name)).steps)


@pytest.mark.parametrize("name", lesson.names())
def test_no_step_brings_a_panel_forward_that_its_question_hides(name: str) -> None:
    steps = lesson.load(lesson.find(name)).steps
    assert not [step.at for step in steps if step.predict is not None and step.focus in step.predict.hides]


@pytest.mark.parametrize(("name", "language"), CASES)
def test_what_a_step_points_at_is_there_and_is_marked_on_the_stage(name: str, language: str) -> None:
    skip_unless_possible(name, language)
    lab = lesson.load(lesson.find(name))
    run = run_unattended(lesson.find(name), language)
    assert run.pointed, "every lesson points at something"
    for index, marked in run.pointed.items():
        step = lab.steps[index]
        where = f"step {index + 1}, {guide.described(step.at)}: {step.point} {marked}"
        assert all(number == there for there, stages in marked for number in stages), where
        later = step.at.when == "blocked" or (step.point.startswith("fd") and step.at.syscall in ("socket", "accept"))
        assert any(there for there, _ in marked[: None if later else 1]), where


def python_for_everybody() -> str:
    """This interpreter, or the system's of the same version, that an unprivileged user may run."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), f"/usr/bin/python{version}"):
        try:
            subprocess.run([python, "-c", ""], user=65534, group=65534, extra_groups=[], check=True, cwd="/")
        except (OSError, subprocess.CalledProcessError):  # not there, or in a home that is closed to others
            continue
        return python
    pytest.skip(f"no Python {version} here that user 65534 may run")


@pytest.mark.skipif(os.geteuid() != 0, reason="every other test here runs as an unprivileged user already")
def test_an_unprivileged_user_holds_packets_too(tmp_path: Path) -> None:
    skip_unless_possible("handshake", "python")
    root = Path(__file__).resolve().parents[2]
    for folder in (root, Path(msgspec.__file__)):
        if not os.stat(folder).st_mode & 0o004:
            pytest.skip(f"{folder} is not for everybody")
    tmp_path.chmod(0o777)
    python = python_for_everybody()
    done = subprocess.run(
        [python, "-m", "socklab", "lesson", "handshake", "--lang", "python", "--plain", "--auto"],
        user=65534,
        group=65534,
        extra_groups=[],
        cwd=root,
        env={
            "PATH": os.defpath,
            "HOME": str(tmp_path),
            "TMPDIR": "/tmp",
            "PYTHONPATH": f"{root}:{Path(msgspec.__file__).parents[1]}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "needs two hosts" in done.stdout:
        pytest.skip("unprivileged users get no namespaces on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Network: two private hosts and a wire" in done.stdout
    assert ", 0 failed." in done.stdout
