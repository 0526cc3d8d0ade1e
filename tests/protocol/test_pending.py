"""Which commands of a consumer still wait for their answer."""

from __future__ import annotations

from socklab.protocol import commands as cmd, events as ev
from socklab.protocol.pending import Pending


def test_a_command_waits_until_its_own_done_whatever_the_outcome() -> None:
    pending = Pending()
    pending.sent(1, cmd.Do("connect"))
    pending.sent(2, cmd.Step())
    pending.feed(ev.Done(0, 3, "done"))
    assert pending
    pending.feed(ev.Done(0, 2, "overtaken"))
    assert pending
    assert not pending.runs
    pending.feed(ev.Done(0, 1, "refused", "why"))
    assert not pending


def test_only_a_step_or_a_continue_makes_the_program_go_on() -> None:
    pending = Pending()
    for number, command in enumerate([cmd.Do("connect"), cmd.Pause(), cmd.Answer(), cmd.Input(b"x")]):
        pending.sent(number, command)
    assert not pending.runs
    pending.sent(9, cmd.Continue("accept"))
    assert pending.runs
    assert not pending.runs_free
    pending.sent(10, cmd.Continue())
    assert pending.runs_free


def test_the_tasks_that_were_asked_to_step_are_known() -> None:
    pending = Pending()
    pending.sent(1, cmd.Step(tid=7))
    pending.sent(2, cmd.Step(tid=8))
    pending.sent(3, cmd.Continue())
    assert pending.stepped == {7, 8}
    pending.feed(ev.Done(0, 1, "done"))
    assert pending.stepped == {8}


def test_the_end_of_the_lab_answers_what_is_left() -> None:
    pending = Pending()
    pending.sent(1, cmd.Step())
    pending.feed(ev.Ended(0, "quit"))
    assert not pending
