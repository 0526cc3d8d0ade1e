"""The lab as append-only text: what a screen reader reads and a pipe carries.

In: each event with the state before and after it. Out: the text to append, often none. What changed is told when a
stop has settled: at a question (without what it hides), at its answer, when the program runs on, or on `flush`. Pure;
every word of the traced program, its clients and the lesson goes through safe().
"""

from __future__ import annotations

import signal

from socklab import guide, state as st
from socklab.core.signals import signal_name
from socklab.core.text import safe
from socklab.lesson import Lesson, shown
from socklab.probes import call_name
from socklab.protocol import events as ev
from socklab.ui.plain import prompt
from socklab.ui.plain.facts import Told, everything
from socklab.ui.plain.page import Page, unmarked
from socklab.ui.plain.words import (
    after_handler,
    check_table,
    decoded,
    explained,
    place,
    signal_text,
    source_around,
    step_title,
    who,
)

_LEVELS = {"info": "Note", "warning": "Warning", "error": "Error"}
_OUTPUT_MOST = 40
"""Lines of program output told at once."""

_RUNS = ("client", "pause")
"""What is waited for while the program runs or sleeps, and may write."""


class Printer(Page):
    """Turns events into text. `width` 0 = never wrap; `bold` = headings in bold, on a terminal only."""

    def __init__(self, lesson: Lesson | None = None, *, width: int = 0, bold: bool = False, free: bool = False) -> None:
        super().__init__(width, bold)
        self._lesson = lesson
        self._free = free
        self._told = Told()
        self._said: set[object] = set()
        """What the lesson has said: steps (index), their texts (index, phase), verdicts ("verdict", index), "outro"."""
        self._call: list[str] = []
        """A lesson's stop and what was done at it, kept back until the lesson has had its say."""
        self._explained: set[str] = set()
        """Calls that were explained: once is enough, `show call` does it again."""
        self._callers: tuple[int, tuple[ev.Frame, ...]] = (0, ())
        """Who called the line that was told last, and in which task: told again when it is another."""
        self._doubts = ""
        """What was said last of a text that fits no more."""
        self._output: list[str] = []
        self._line: dict[tuple[str, str], bytes] = {}
        self._unheld: dict[int, st.Call] = {}
        """Calls that returned and at which nobody was held (yet)."""
        self._worth = guide.pause_names(lesson) if lesson is not None else None
        """Calls that are told even when nobody was held at them; None = all."""
        self.leaving = False
        """The lab is being ended: that the program is killed with it is no news."""
        self._signals: dict[int, str] = {}
        """A signal that was delivered, in words, by task; not told yet."""
        self._blocked: dict[int, int] = {}
        """Number of the call, by task, whose sleep was told."""
        self._entered: st.Call | None = None
        """The call at whose enter the last stop was, until it sleeps or a question comes between it and its result."""

    def feed(self, before: st.LabState, event: ev.AnyEvent, after: st.LabState) -> str:
        """The text that `event` adds; whole lines. Each kind of event is told by its method _on_KIND, if it has one."""
        tell = getattr(self, f"_on_{type(event).__name__}", None)
        if tell is not None:
            tell(before, event, after)
        return self._take()

    def flush(self, state: st.LabState) -> str:
        """Everything that may be told now and was not yet."""
        self._settle(state)
        return self._take()

    # ---------------------------------------------------------------- pieces

    def _masked(self, state: st.LabState) -> frozenset[str]:
        return guide.masked(self._lesson, state) if self._lesson is not None else frozenset()

    def _settle(self, state: st.LabState) -> None:
        """Tell what the lesson says, where the program is, what changed and what was written: what is not masked.

        A text leads to a call; what is said of its return follows the result and what that changed.
        """
        returned = bool(self._call) and state.step is not None and state.step.phase == "after"
        if not returned:
            self._narrate(state)
        self._tell_call()
        self._tell_news(state)
        if returned:
            self._narrate(state)
        self._tell_blocked(state)

    def _tell_call(self) -> None:
        self._out += self._call
        self._call.clear()

    def _beside(self, state: st.LabState, text: str) -> None:
        """A line about what is done at this moment: it follows what the lesson is about to say of it."""
        kept, self._out = self._out, []
        self._say(text)
        step = state.step if self._lesson is not None else None
        waits = bool(self._call) or (step is not None and (step.index, step.phase) not in self._said)
        into = self._call if waits else kept
        into += self._out
        self._out = kept

    def _tell_news(self, state: st.LabState) -> None:
        masked = self._masked(state)
        self._list(self._told.news(state, masked))
        if "output" not in masked and self._output:
            cut = len(self._output) - _OUTPUT_MOST
            if cut > 0:
                self._say(f"... {cut} earlier lines of output (`show output` has them)", "  ")
            self._list(self._output[-_OUTPUT_MOST:])
            self._output.clear()

    def _narrate(self, state: st.LabState) -> None:
        """What the lesson says and has not said yet; of a call that has returned, behind its result."""
        if self._lesson is None or state.step is None:
            return
        step, said = state.step, guide.said(self._lesson, state)
        asked = state.question.index if state.question is not None else -1
        parts = (
            (("verdict", asked), said.verdict),
            ((step.index, step.phase), "" if said.replaced else said.text),
            ("outro", said.outro),
        )
        fresh = [(key, text) for key, text in parts if text and key not in self._said]
        if not fresh:
            return
        self._said.update(key for key, _ in fresh)
        if step.index not in self._said:
            self._said.add(step.index)
            self._heading(step_title(self._lesson, step.index))
        for _, text in fresh:
            self._prose(text)
        self._out.append("")

    def _tell_blocked(self, state: st.LabState) -> None:
        for tid, task in state.tasks.items():
            call = task.call
            if call is None or self._blocked.get(tid) == call.number or not state.blocked(tid):
                continue
            self._blocked[tid], self._entered = call.number, None
            name = call_name(state, call)
            self._say(f"{who(state, tid)}The program sleeps in {name}.")

    def _tell_unheld(self, state: st.LabState, tid: int) -> None:
        call = self._unheld.pop(tid, None)
        if call is not None and (self._worth is None or call_name(state, call) in self._worth):
            task = state.tasks.get(tid)
            self._say(f"{who(state, tid)}{decoded(state, task, call)[1]}", "" if self._free else "  ran through: ")

    # ---------------------------------------------------------------- events

    def _on_Header(self, _before: st.LabState, event: ev.Header, after: st.LabState) -> None:
        language = {"c": ", in C", "python": ", in Python"}.get(event.language, "") if event.lesson else ""
        what = f"Lesson {safe(event.lesson)}{language}" if event.lesson else "A program of your own"
        self._say(f"socklab {safe(event.socklab)} on Linux {safe(event.kernel)} {safe(event.arch)}. {what}.")
        hosts = ", ".join(f"{safe(host.name)} {safe(' '.join(host.addresses))}" for host in event.hosts)
        network = {
            "private": "Network: one private host, its own to the lab",
            "two-hosts": "Network: two private hosts and a wire",
            "machine": "Network: this machine's own",
        }.get(event.network, f"Network: {safe(event.network)}")
        self._say(f"{network} ({hosts})." if hosts else f"{network}.")
        if not self._free:
            self._say("In front of what the kernel holds: + is new, * has changed, - is gone.")
        if self._lesson is not None:
            self._heading(safe(self._lesson.title))
            self._prose(guide.fill(self._lesson.intro, after) if self._lesson.intro else self._lesson.summary)
            self._out.append("")

    def _on_Built(self, _before: st.LabState, event: ev.Built, _after: st.LabState) -> None:
        self._say(f"Compiled{' before' if event.cached else ''}: {safe(' '.join(event.argv))}")

    def _on_Started(self, _before: st.LabState, event: ev.Started, _after: st.LabState) -> None:
        self._say(f"Started as process {event.pid}: {safe(' '.join(event.argv))}")

    def _on_Notice(self, _before: st.LabState, event: ev.Notice, _after: st.LabState) -> None:
        lines = safe(event.text, lines=True).splitlines() or [""]
        self._say(f"{_LEVELS.get(event.level, 'Note')}: {lines[0]}")
        for line in [*lines[1:], *safe(event.fix, lines=True).splitlines()]:
            self._say(line, "  ")

    def _on_Enter(self, before: st.LabState, event: ev.Enter, _after: st.LabState) -> None:
        self._tell_signal(event.tid)
        self._tell_unheld(before, event.tid)

    def _on_Return(self, _before: st.LabState, event: ev.Return, after: st.LabState) -> None:
        task = after.tasks.get(event.tid)
        if task is not None and task.call is not None:
            self._unheld[event.tid] = task.call
        if self._free:
            self._tell_unheld(after, event.tid)

    def _on_Signal(self, _before: st.LabState, event: ev.Signal, after: st.LabState) -> None:
        """Told here unless the task is held at it, which is known a moment later."""
        self._signals[event.tid] = f"{who(after, event.tid)}{signal_text(event)} is delivered"
        self._signals[event.tid] += " to its handler." if event.handled else "."

    def _tell_signal(self, tid: int) -> None:
        if tid in self._signals:
            self._say(self._signals.pop(tid))

    def _on_Held(self, before: st.LabState, event: ev.Held, after: st.LabState) -> None:
        task = after.tasks[event.tid]
        if event.at == "signal":
            self._signals.pop(event.tid, None)
        self._tell_signal(event.tid)
        if event.at == "return":
            self._unheld.pop(event.tid, None)
        else:
            self._tell_unheld(after, event.tid)
        if event.at == "signal" and task.signal is not None:
            what = f"{signal_text(task.signal)} is about to be delivered"
            if task.signal.handled:
                what += f" to its handler{after_handler(after, task)}"
        elif event.at == "interrupt" or task.call is None:
            what = "paused outside of any call"
        elif event.at == "enter":
            what = f"about to call {decoded(after, task, task.call)[0]}"
        else:
            what = decoded(after, task, task.call)[1]
        kept, self._out = self._out, []
        lines = self._explain(after, task, task.call) if event.at in ("enter", "return") and task.call else []
        if event.at == "return" and lines:
            what += f": {lines.pop(0)[1]}"
        entered, self._entered = self._entered, task.call if event.at == "enter" else None
        follows = entered is not None and task.call is not None and entered.number == task.call.number
        self._heading(f"Stop {after.stops}: {who(after, event.tid)}{what}", gap=not follows)
        if event.at != "return":
            self._tell_place(after, event)
        for indent, line in lines:
            self._say(line, indent, indent * 2)
        self._call, self._out = self._call + self._out, kept
        if self._lesson is None:
            self._settle(after)

    def _tell_place(self, state: st.LabState, held: ev.Held) -> None:
        callers = held.stack[1:]
        told, self._callers = self._callers == (held.tid, callers), (held.tid, callers)
        for position, line in enumerate(place(state, held.stack[:1] if told else held.stack)):
            self._say(line, "    " if position else "  ", "      ")
        if not held.stack and held.unlined and held.unlined not in self._explained:
            self._explained.add(held.unlined)
            said = "" if held.unlined.startswith(("no line", "no Python line")) else "no line of source: "
            self._say(f"{said}{safe(held.unlined)}", "  ", "      ")

    def _explain(self, state: st.LabState, task: st.Task, call: st.Call) -> list[tuple[str, str]]:
        """What it asks for, in words the first time; what came of it, always."""
        name = call_name(state, call)
        if call.returned is None and name in self._explained:
            return []
        self._explained.add(name)
        return explained(state, task, call)

    def _on_Resumed(self, before: st.LabState, event: ev.Resumed, _after: st.LabState) -> None:
        self._tell_unheld(before, event.tid)
        self._settle(before)

    def _on_Output(self, _before: st.LabState, event: ev.Output, after: st.LabState) -> None:
        if event.stream == "in":
            return  # it was typed right here
        source = "the program" if event.source == "server" else f"client {safe(event.source)}"
        where = " on stderr" if event.stream == "err" else ""
        key = (event.source, event.stream)
        *whole, rest = (self._line.get(key, b"") + event.data).split(b"\n")
        self._line[key] = rest if len(rest) < 4096 else b""
        for line in [*whole, *([rest] if len(rest) >= 4096 else [])]:
            text = safe(line.removesuffix(b"\r"))
            self._output.append(f"{source} wrote{where}: {text}")
        if self._lesson is None and (self._free or (after.ready is not None and after.ready.wants in _RUNS)):
            self._list(self._output)  # nobody is held: it is told as it comes
            self._output.clear()

    def _on_Acted(self, before: st.LabState, event: ev.Acted, _after: st.LabState) -> None:
        if before.offer is not None or self._is_offered(before, event.line):
            self._settle(before)  # what it says there may wake the program, which leaves that moment
        actor = "The lesson" if event.origin == "lesson" else "You"
        self._beside(before, f"{actor}: {safe(event.line)}")

    def _is_offered(self, state: st.LabState, line: str) -> bool:
        """The student's to do; where nobody is there the lesson does it without an offer."""
        return (
            self._lesson is not None and state.step is not None and line in self._lesson.steps[state.step.index].offer
        )

    def _on_Forked(self, _before: st.LabState, event: ev.Forked, _after: st.LabState) -> None:
        what = "thread" if event.kind == "thread" else "process"
        self._say(f"{event.kind}: {event.tid} has a new {what}, {event.child}")

    def _on_Execed(self, _before: st.LabState, event: ev.Execed, _after: st.LabState) -> None:
        self._say(f"Process {event.tid} now runs: {safe(' '.join(event.argv))}")

    def _on_Exited(self, before: st.LabState, event: ev.Exited, after: st.LabState) -> None:
        self._tell_signal(event.tid)
        self._tell_unheld(before, event.tid)
        if self.leaving and event.signo == signal.SIGKILL:
            return
        task = after.tasks.get(event.tid)
        what = "Process" if task is None or task.tid == task.pid else "Thread"
        if event.signo:
            core = " (core dumped)" if event.core else ""
            self._say(f"{what} {event.tid} was killed by {signal_name(event.signo)}{core}.")
        else:
            self._say(f"{what} {event.tid} ended with status {event.code}.")

    def _on_StepReached(self, before: st.LabState, _event: ev.StepReached, _after: st.LabState) -> None:
        if before.step is not None and before.step_left is None:
            self._settle(before)  # the lesson goes on at the same stop: first what was there until now

    def _on_Ready(self, _before: st.LabState, _event: ev.Ready, after: st.LabState) -> None:
        doubts = guide.doubts(self._lesson, after) if self._lesson is not None else ""
        if doubts and doubts != self._doubts:
            self._prose(f"{doubts} Step on from here, or `restart` begins the lesson anew.")
        self._doubts = doubts

    def _on_Asked(self, _before: st.LabState, _event: ev.Asked, after: st.LabState) -> None:
        self._entered = None
        self._settle(after)
        predict = guide.question(self._lesson, after) if self._lesson is not None else None
        if predict is None or self._lesson is None:
            return
        self._heading(f"Question: {unmarked(safe(guide.fill(predict.ask, after, asking=predict)))}")
        for line in prompt.choice_list(predict):
            self._say(line)

    def _on_Answered(self, _before: st.LabState, event: ev.Answered, after: st.LabState) -> None:
        if event.choice is not None:
            predict = self._lesson.steps[event.index].predict if self._lesson is not None else None
            when = "it is done" if predict is not None and predict.when == "done" else "the call has returned"
            self._say(f"Your answer: {shown(event.choice)}. The kernel's comes when {when}.")

    def _on_Measured(self, _before: st.LabState, _event: ev.Measured, after: st.LabState) -> None:
        if self._call:
            self._tell_call()  # its result is the answer
        self._narrate(after)
        self._settle(after)

    def _on_LessonDone(self, _before: st.LabState, _event: ev.LessonDone, after: st.LabState) -> None:
        self._settle(after)

    def _on_Ended(self, before: st.LabState, event: ev.Ended, after: st.LabState) -> None:
        for tid in list(self._unheld):
            self._tell_unheld(before, tid)
        for (source, stream), rest in list(self._line.items()):
            if rest:
                self._on_Output(before, ev.Output(event.t, source, stream, b"\n"), after)
        self._settle(after)
        if self._lesson is not None and after.checks:
            self._heading("Checks, each measured at its moment")
            for line in check_table(self._lesson, after):
                self._say(line, "  ", "          ")
        reason = {
            "quit": "The lab was ended.",
            "done": "The lesson is done.",
            "exited": "The program has ended.",
            "killed": "The program was killed.",
            "failed": "The lab failed.",
        }.get(event.reason, safe(event.reason))
        self._heading(reason)

    def show(self, state: st.LabState, kind: str) -> str:
        """All of one kind, asked for at the prompt. What a question hides is not shown."""
        if kind in self._masked(state):
            self._say(f"The question hides {kind}: answer it first.")
        elif kind == "output":
            self._list([line for output in state.output for line in safe(output.data, lines=True).splitlines()])
        elif kind == "source":
            self._out += source_around(state)
        elif kind == "call":
            if (task := state.task) is None or task.call is None:
                self._say("no call")
            else:
                self._say(decoded(state, task, task.call)[1])
                for indent, line in explained(state, task, task.call, whole=True):
                    self._say(line, indent, indent * 2)
        elif kind in ("stage", "acceptqueue", "datapath", "byteorder"):
            from socklab.ui.plain.stage import told

            self._list(told(state, kind, self._masked(state)))
        else:
            self._list(everything(state, kind))
        return self._take()
