"""The line that says what the program is doing, the banner over the past, the line that names the run.

In: a LabState. Out: Lines. Says only what the stream says: held, running, asleep in a call, gone. Never draws.
"""

from __future__ import annotations

from socklab import state as st
from socklab.commands.keymap import said
from socklab.core.text import safe
from socklab.lesson import Lesson
from socklab.ui.view.formats import call_name, plural
from socklab.ui.view.lines import Line, Span, clip, clip_words, spread, width as cells_of, with_keys
from socklab.ui.view.tasks import held, program_words

_HELPS = {
    "accept": "`connect` connects a client",
    "accept4": "`connect` connects a client",
    **dict.fromkeys(("read", "recv", "recvfrom", "recvmsg", "readv"), "`send` sends bytes, `close` closes"),
    **dict.fromkeys(
        ("epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6"), "a client may act"
    ),
}
"""What wakes a program that sleeps in a call."""

LANGUAGES = {"c": "C", "python": "Python"}


def never_began(state: st.LabState) -> bool:
    """The lab has failed before the program made a call: it could not be found, built, started or traced."""
    return state.ended is not None and state.ended.reason == "failed" and not (state.stops or state.entered)


def program(state: st.LabState) -> Line:
    """A mark and the words: ■ held, ▶ running, ◌ asleep, ✗ died, ✓ ended well."""
    task = state.task
    words = program_words(state)
    mark: Span = ("◌ ", "dim")
    if task is None:
        doing = "building and starting the program ..." if state.header is not None else "starting the lab ..."
        return (mark, *words) if state.ended is not None else (mark, (doing, "dim"))
    if task.exited is not None:
        mark = ("✓ ", "good") if not task.exited.signo and not task.exited.code else ("✗ ", "bad")
    elif state.ended is not None:
        mark = ("✗ ", "bad") if state.ended.reason == "failed" else ("✓ ", "good")
    elif task.status == "held":
        mark = ("■ ", "focus")
    elif state.blocked(task.tid):
        name = call_name(state, task.call.entered.nr) if task.call is not None else ""
        helps = said(_HELPS.get(name, ""))
        return (("◌ ", "strong"), *words, *(((f"  {helps}", "dim"),) if helps else ()))
    else:
        mark = ("▶ ", "good")
    return (mark, *words)


def progress(state: st.LabState, lesson: Lesson | None) -> Line:
    """step 3 of 7; lesson done; the lab is over."""
    if state.ended is not None:
        return with_keys("`restart` restarts, `quit` quits")
    if state.lesson_done:
        return (("✓ ", "good"), ("lesson done", "strong"))
    if lesson is None:
        return ()
    if state.step is None:
        return ((f"{plural(len(lesson.steps), 'step')}, ", "dim"), *with_keys("`next` begins"))
    return ((f"step {state.step.index + 1} of {len(lesson.steps)}", "dim"),)


def past(stop: int, stops: int, width: int) -> Line:
    """The banner that this is not now; its whole line is reversed."""
    return clip(((f" ◀ THE PAST   stop {stop} of {stops}   ← earlier  → later  End: back to now", "current"),), width)


def line(
    state: st.LabState,
    lesson: Lesson | None,
    width: int,
    *,
    chosen: bool = False,
    others_run: bool = False,
    until: str = "",
) -> Line:
    """`chosen`: the user has fixed the screen on one task. `others_run`: it alone is held at its calls. `until`:
    the condition it runs on to."""
    left: Line = ((" ", ""), *program(state))
    right: Line = (*progress(state, lesson), (" ", ""))
    if until and not held(state):
        way = ("  on the way to ", "the next step") if until == "step" else ("  until ", safe(until))
        to: Line = ((way[0], "dim"), (way[1], "name"))
        left = (*left, *to) if until != "step" or cells_of((*left, *to, *right)) < width else left
    if others_run:
        left = (*left, ("  others run on, ", "warn"), *with_keys("`f` holds them"))
    if chosen and not others_run and len(state.tasks) > 1:
        room = width - cells_of(left) - cells_of(right)
        told = (with_keys("  chosen, `Esc` follows what happens"), with_keys("  chosen, `Esc`"))
        left = (*left, *next((words for words in told if cells_of(words) <= room), ()))
    if cells_of(left) + cells_of(right) >= width:
        return clip_words(left, width)
    return spread(left, right, width)


def _program(state: st.LabState) -> str:
    """The program as its user would name it: the source it was built from, no folders that go without saying."""
    if state.started is None or not state.started.argv:
        return ""
    first, *rest = state.started.argv
    source = state.built.argv[-1] if state.built is not None and state.built.argv else first
    here = state.started.cwd.rstrip("/") + "/"
    return " ".join([source.rpartition("/")[2], *(word.removeprefix(here) for word in rest)])


def header(state: st.LabState, lesson: Lesson | None, width: int) -> Line:
    """The lesson's title on the left, the machine on the right."""
    title, where = run_words(state, lesson)
    left: Line = ((" socklab", "focus"), ("   ", ""), (title, "title"))
    head = state.header
    if head is None:
        return clip(left, width)
    language = LANGUAGES.get(head.language, safe(head.language))
    parts = (where, language, f"Linux {safe(head.kernel)}")
    return spread(left, ((" · ".join(filter(None, parts)) + " ", "dim"),), width)


def run_words(state: st.LabState, lesson: Lesson | None) -> tuple[str, str]:
    """The lesson's title, or the program as it was called; the network it plays on."""
    title = safe(lesson.title if lesson is not None else _program(state))
    networks = {"private": "private host", "two-hosts": "two hosts", "machine": "this machine's network"}
    network = state.header.network if state.header is not None else ""
    return title, networks.get(network, safe(network))
