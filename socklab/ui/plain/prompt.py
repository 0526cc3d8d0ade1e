"""A line typed at the plain prompt, as what it asks for.

In: one line of text, and whether a question is open. Out: a command for the engine, or a request the consumer answers
itself. Never sends, never prints.
"""

from __future__ import annotations

from typing import TypeAlias

from socklab.commands import actions
from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.lesson import Predict, Value, shown
from socklab.protocol import commands as cmd

HELP = """\
s, step, Enter     to the next stop: the call is carried out, or the program
                   runs to its next one
o, over            to the next call, past the return of this one
n, next            to the lesson's next step
c, continue        run free; c CONDITION: until a stop that fits, such as
                   c accept, c read fd=4, c any error
p, pause           hold a running program
others run         step this process or thread while the others run on;
                   others hold: each stops at its own calls again
show KIND          all descriptors, sockets, queues, counters, clients or
                   packets (wire); the source, the output
connect [N|NAMES]  open clients
send [NAME] "TEXT" also half-close, close, reset, stop-reading, read [NAME]
! COMMAND          run a command where the clients live, such as
                   ! curl -s http://server:8080/
hold [KIND]        keep packets on the wire, such as hold syn-ack, hold ack
                   from a; also deliver, drop, delay, loss, reorder, release
input "TEXT"       bytes for the program's standard input
focus PID          speak of that process or thread
q, quit            end the lab
h, help, ?         this text"""

KINDS = ("descriptors", "sockets", "queues", "counters", "clients", "wire", "source", "output")

_PLAIN: dict[str, cmd.AnyCommand] = {
    "s": cmd.Step(),
    "step": cmd.Step(),
    "": cmd.Step(),
    "o": cmd.Step(over=True),
    "over": cmd.Step(over=True),
    "n": cmd.Continue(until="step"),
    "next": cmd.Continue(until="step"),
    "p": cmd.Pause(),
    "pause": cmd.Pause(),
    "q": cmd.Quit(),
    "quit": cmd.Quit(),
    "exit": cmd.Quit(),
}
_HELP_WORDS = ("h", "help", "?")
_WORDS = (
    "step",
    "over",
    "next",
    "continue",
    "pause",
    "others",
    "show",
    "input",
    "focus",
    "quit",
    "help",
    *actions.VERBS,
)


class Show(str):
    """A request for the whole of one kind."""


class Help:
    """A request for the list of commands."""


Request: TypeAlias = cmd.AnyCommand | Show | Help


def parse(line: str) -> Request:
    """What a line asks for. Raises UsageError naming the nearest word."""
    text = line.strip()
    if text in _PLAIN:
        return _PLAIN[text]
    if text in _HELP_WORDS:
        return Help()
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word in ("c", "continue", "until"):  # the screen calls it until
        return _until(rest)
    if word == "others":
        if rest not in ("run", "hold"):
            raise UsageError("others: say `others run` or `others hold`.")
        return cmd.Others(run=rest == "run")
    if word == "show":
        if rest not in KINDS:
            raise UsageError(f'show: no kind "{safe(rest)}"', fix=f"Kinds: {', '.join(KINDS)}.")
        return Show(rest)
    if word == "focus":
        if not rest.isdecimal():
            raise UsageError("focus: the number of a process or thread is missing")
        return cmd.Focus(tid=int(rest))
    if word in ("input", "stdin"):
        # The quoting of `send`: one way to write bytes.
        action = actions.parse(f"send {rest}")
        assert isinstance(action, actions.Send)
        return cmd.Input(data=action.data)
    if not text.startswith("!") and word not in actions.VERBS:
        raise UsageError(
            f'No command "{safe(word)}".', fix=f"{suggest(word, _WORDS, listed=0)} `help` lists them.".strip()
        )
    actions.parse(text)
    return cmd.Do(line=text)


def _until(condition: str) -> cmd.Continue:
    if condition:
        from socklab.commands import conditions

        conditions.parse(condition)
    return cmd.Continue(until=condition)


def choice_list(predict: Predict) -> list[str]:
    """The choices as lines. Numbers stand for themselves; other choices get a number to type."""
    if _are_numbers(predict):
        return ["Choices: " + ", ".join(shown(choice) for choice in predict.choices)]
    return [f"  {number}. {shown(choice)}" for number, choice in enumerate(predict.choices, 1)]


def parse_answer(line: str, predict: Predict) -> Value | None:
    """The choice a line stands for; None for `show`. Raises UsageError when it is none of them."""
    text = line.strip().casefold()
    if text == "show":
        return None
    for choice in predict.choices:
        if text == shown(choice).casefold():
            return choice
    if not _are_numbers(predict) and text.isdecimal() and 1 <= int(text) <= len(predict.choices):
        return predict.choices[int(text) - 1]
    raise UsageError(
        f'"{safe(line.strip())}" is not one of the choices.', fix="Type a choice, or `show` to see the answer."
    )


def _are_numbers(predict: Predict) -> bool:
    return all(isinstance(choice, int) and not isinstance(choice, bool) for choice in predict.choices)
