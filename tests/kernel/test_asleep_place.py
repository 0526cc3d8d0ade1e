"""Where in the source a program is that sleeps in a call at which nobody held it. The oracle is the line itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.run_spec import RunSpec
from socklab.session import Link
from socklab.state import LabState, Task
from tests.kernel.test_many_tasks import EXAMPLES, Lab
from tests.support import shared

pytestmark = pytest.mark.kernel

NESTED = """
#include <arpa/inet.h>
#include <sys/socket.h>

static int __attribute__((noinline)) wait_for_one(int listener)
{
    volatile char room[64] = { 0 };
    return accept(listener, 0, 0) + room[7];
}

int main(void)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    listen(listener, 1);
    return wait_for_one(listener) + 1;
}
"""


def line_of(state: LabState, task: Task, depth: int = 0) -> str:
    frame = task.stack[depth]
    return state.sources[frame.path].text.splitlines()[frame.line - 1]


def asleep_after(
    argv: list[str], *commands: cmd.AnyCommand, **options: str
) -> tuple[LabState, Task, list[ev.AnyEvent]]:
    """The program when it has run on into its sleep."""
    with Link.start(RunSpec(argv=tuple(argv), network="private")) as link:
        lab = Lab(link)
        lab.wait(lambda state: state.ready and state.ready.held, "the first stop")
        for command in commands:
            stops = lab.state.stops
            link.send(command)
            lab.wait(lambda state: state.stops > stops or state.blocked(state.focus), "the next stop, or sleep")  # noqa: B023
        lab.wait(lambda state: state.ready and state.ready.wants == "client", "sleep")
        task = lab.state.task
        assert task is not None
        return lab.state, task, lab.seen


@pytest.mark.parametrize("flags", [("-O0",), ("-O2",), ("-O0", "-fomit-frame-pointer")], ids=" ".join)
def test_the_line_of_the_call_it_sleeps_in_and_who_called_that(flags: tuple[str, ...], tmp_path: Path) -> None:
    """`c` lets it run without a stop: all there is to go by is what the kernel tells of a sleeping task."""
    text = tmp_path / "nested.c"
    text.write_text(NESTED)
    state, task, _ = asleep_after([shared.compiled(text, "-g", *flags)], cmd.Continue(""))
    assert "accept(listener" in line_of(state, task)
    assert "wait_for_one(listener) + 1" in line_of(state, task, -1)
    assert task.status == "running"


@pytest.mark.parametrize(
    ("name", "word"), [("threads.py", "accept("), ("select_loop.py", "select.select("), ("epoll_loop.py", ".poll(")]
)
def test_a_python_program_that_runs_into_its_sleep(name: str, word: str) -> None:
    state, task, _ = asleep_after([sys.executable, str(EXAMPLES / name), "0"], cmd.Continue(""))
    assert word in line_of(state, task)


def test_no_line_is_told_where_none_is_known_and_it_is_said_why(tmp_path: Path) -> None:
    text = tmp_path / "nested.c"
    text.write_text(NESTED)
    _, task, seen = asleep_after([shared.compiled(text, "-O2", "-s")], cmd.Continue(""))
    assert task.stack == ()
    assert task.unlined
    assert [each.unlined for each in seen if isinstance(each, ev.Place)] == [task.unlined]


def test_a_call_that_was_held_before_is_not_told_twice(tmp_path: Path) -> None:
    text = tmp_path / "nested.c"
    text.write_text(NESTED)
    argv = [shared.compiled(text, "-g")]
    state, task, seen = asleep_after(argv, cmd.Continue("accept"), cmd.Step())
    assert "accept(listener" in line_of(state, task)
    assert not [each for each in seen if isinstance(each, ev.Place)]
