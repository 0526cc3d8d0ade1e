"""Every key of the lab in one table: bindings, footer, help and command palette are all made from it.

In: nothing. Out: KEYS, and the footer's line for a situation. Never acts.

The letters are first letters of what they do wherever one is free: Step, Over, Next, Continue, Pause, sEnd (s is
taken by the most frequent key), Half-close, konnect (as in Kernel; c runs the program), Reset. Capital letters do
the larger or the destructive version of a thing. Space steps too: it is the key a lecturer finds in the dark.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.cells import cell_len

from socklab.ui.tui.lines import Line, Span


class Key(msgspec.Struct, frozen=True):
    """One action and its keys. `action` is the screen's action_NAME, with arguments as Textual writes them."""

    keys: str
    """As Textual names them, separated by commas; the first one is shown."""
    action: str
    label: str
    """One or two words, for the footer."""
    help: str
    group: str
    footer: str = ""
    """Situations in which the footer shows it: h held, r running, q question open, p looking at the past, e ended;
    w there is a wire, g it keeps packets."""
    shown: str = ""
    """How the key is written where its Textual name is not what is printed on it."""

    @property
    def face(self) -> str:
        return self.shown or self.keys.partition(",")[0]


PROGRAM, CLIENTS, WIRE, LOOK, LAB = "The program", "Clients", "The wire", "Looking", "The lab"

KEYS = (
    Key("s,space", "step", "step", "Run to the next stop: before a call, then after it.", PROGRAM, "h"),
    Key("o", "over", "over", "Run to the next call, over the result of this one.", PROGRAM, "h"),
    Key("n", "next", "next", "Run to the next step of the lesson.", PROGRAM, "h"),
    Key("c", "run_until", "until", "Run until a call or condition you type; empty: run freely.", PROGRAM, "h"),
    Key("p", "pause", "pause", "Hold the running program where it is.", PROGRAM, "r"),
    Key("right_square_bracket", "neighbour(1)", "next task", "The next process or thread; also the process panel.",
        PROGRAM, "", "]"),
    Key("left_square_bracket", "neighbour(-1)", "task before", "The process or thread before.", PROGRAM, "", "["),
    Key("f", "others", "free others", "Let the other tasks run while this one is stepped; again: hold them.", PROGRAM),
    Key("i", "stdin", "stdin", "Type a line into the program's standard input.", PROGRAM),
    Key("k", "connect", "connect", "Connect one more client.", CLIENTS, "hr"),
    Key("K,shift+k", "connect_many", "connect N", "Connect several clients at once.", CLIENTS, shown="K"),
    Key("e", "send", "send", "Send bytes from the chosen client, or the one the call is about.", CLIENTS, "hr"),
    Key("h", "half_close", "half-close", "The chosen client sends FIN and goes on reading.", CLIENTS),
    Key("x", "close", "close", "The chosen client closes.", CLIENTS, "hr"),
    Key("R,shift+r", "reset", "reset", "The chosen client resets its connection (RST).", CLIENTS, shown="R"),
    Key("exclamation_mark", "command", "command", "Run a real program where clients live.", CLIENTS, "hr", "!"),
    Key("d", "deliver", "deliver", "Deliver the chosen packet, or the one held longest.", WIRE, "g"),
    Key("D,shift+d", "deliver_all", "all", "Deliver every packet that is held.", WIRE, "g", "D"),
    Key("X,shift+x", "drop", "drop", "Drop the chosen packet, or the one held longest.", WIRE, "g", "X"),
    Key("H,shift+h", "hold_all", "hold all", "Hold every packet that comes; again: let go.", WIRE, "w", "H"),
    Key("g", "hold_some", "hold ...", "Hold the packets you say: hold syn-ack, hold ack from a.", WIRE, "w"),
    Key("z", "delay", "delay", "Make the wire slow: delay 100 jitter 20.", WIRE),
    Key("l", "loss", "loss", "Make the wire lose packets: loss 20 data from server.", WIRE),
    Key("u", "release", "undo rules", "Every rule of the wire away, and all that is held delivered.", WIRE),
    Key("left", "past", "earlier", "Show the stop before.", LOOK, "p", "←"),
    Key("right", "future", "later", "Show the stop after; at the end: now.", LOOK, "p", "→"),
    Key("home", "first", "first", "Show the first stop.", LOOK, "p", "Home"),
    Key("end", "now", "now", "Back to now.", LOOK, "p", "End"),
    Key("tab", "next_panel", "panel", "The next panel; its number goes there directly.", LOOK, "", "Tab"),
    Key("shift+tab", "previous_panel", "panel back", "The panel before.", LOOK, "", "Shift+Tab"),
    Key("w", "panel('wire')", "wire", "The packets on the wire, where the lab has one of its own.", LOOK),
    Key("m", "maximise", "maximise", "Give the panel the whole screen, and back.", LOOK, ""),
    Key("b", "stack", "call stack", "Every frame below the source (backtrace); up and down choose one.", LOOK),
    Key("v", "verbose", "more", "Show more: bytes of buffers, every frame of the stack.", LOOK, ""),
    Key("r", "raw", "raw line", "The line of /proc/net/tcp for the chosen socket.", LOOK, ""),
    Key("up,down", "row", "row", "Scroll the panel, or choose a socket, a client, a packet.", LOOK, "", "↑ ↓"),
    Key("t", "theme", "theme", "Dark, light, the terminal's own colours.", LOOK, ""),
    Key("colon", "prompt", "prompt", "Type any action: connect 5, send a \"hi\", set net.ipv4...", LAB, "hre", ":"),
    Key("question_mark,f1", "help", "help", "These keys.", LAB, "hrqpe", "?"),
    Key("q,ctrl+q", "quit_lab", "quit", "End the lab and everything it started.", LAB, "hrqpe"),
)  # fmt: skip


def footer(
    situation: str, width: int, *, lesson: bool = True, choices: int = 9, wire: str = "", several: bool = False
) -> tuple[Line, list[tuple[int, int, str]]]:
    """The footer in `width` cells for one situation, and where a click asks for what. `wire`: w, or wg if it keeps
    packets; what is in the hand comes first. `several`: there is another process or thread to go to.

    The keys that matter least are left out where the line is too short; help and quit always stay.
    """
    entries: list[tuple[str, str, str]] = []
    if situation == "q":
        entries += [(f"1-{choices}", "choose", ""), ("Enter", "commit", "enter"), ("Esc", "just show me", "escape")]
    always: list[tuple[str, str, str]] = []
    for key in KEYS:
        if situation in key.footer and (lesson or key.action != "next"):
            (always if key.action in ("help", "quit_lab") else entries).append((key.face, key.label, key.action))
    if situation in "hr":
        of_wire = [key for key in KEYS if key.group == WIRE and key.footer and key.footer in wire]
        in_hand = [(key.face, key.label, key.action) for key in of_wire if key.footer == "g"]
        stepping = 3 if situation == "h" else 1
        hold = [(key.face, key.label, key.action) for key in of_wire if key.footer == "w"]
        tasks = [("]", "next task", "neighbour(1)")] if several else []
        entries = [*in_hand, *entries[:stepping], *tasks, *hold, *entries[stepping:]]
    room = width - 1 - sum(_cells(entry) for entry in always)
    chosen: list[tuple[str, str, str]] = []
    for entry in entries:
        if _cells(entry) > room:
            break
        chosen.append(entry)
        room -= _cells(entry)
    spans: list[Span] = [(" ", "")]
    hot: list[tuple[int, int, str]] = []
    x = 1
    for face, label, action in [*chosen, *always]:
        spans += [(face, "key"), (f" {label}  ", "dim")]
        size = _cells((face, label, action))
        if action:
            hot.append((x, x + size - 1, action))
        x += size
    return tuple(spans), hot


def _cells(entry: tuple[str, str, str]) -> int:
    return cell_len(entry[0]) + cell_len(entry[1]) + 3


def help_lines(keys: Iterable[Key] = KEYS) -> list[Line]:
    """The help page: keys by group."""
    lines: list[Line] = []
    group = ""
    for key in keys:
        if key.group != group:
            group = key.group
            lines += [(), (("  " + group, "title"),)] if lines else [(("  " + group, "title"),)]
        also = " or space" if "space" in key.keys else ""
        lines.append(((f"  {key.face:>9}", "key"), ("  ", ""), (key.help + (also and f" ({also.strip()})"), "")))
    return lines
