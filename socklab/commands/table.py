"""The table of commands: one row says all there is to say of one.

In: nothing. Out: COMMANDS, of which are made both prompts and their completion, the keys and footer of the screen,
its help and that of the plain prompt, the lines a lesson may do or offer, and docs/keys.md. Never acts.

The keys are first letters of what they do wherever one is free: Step, Over, Next, Continue, Pause, sEnd (s is taken
by the most frequent key), Half-close, konnect (as in Kernel; c runs the program), Reset. Capital letters do the larger
or the destructive version of a thing. Space steps too: it is the key a lecturer finds in the dark.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import msgspec

from socklab.commands import arguments as arg, wire_arguments as wire
from socklab.commands.arguments import Argument, Reader
from socklab.protocol import commands as cmd

SCREEN, PLAIN, LESSON = "on the screen", "in plain text", "in a lesson"
"""Where a command may be typed."""

PROGRAM, CLIENTS, WIRE, LOOK, LAB = "The program", "Clients", "The wire", "Looking", "The lab"

_KEY: tuple[str, ...] = ()
_TYPED = (SCREEN, PLAIN)
_ALL = (SCREEN, PLAIN, LESSON)

_FACES = {"left": "←", "right": "→", "up": "↑", "down": "↓"}


class Command(msgspec.Struct, frozen=True):
    """One command: its verb, its keys, or both."""

    name: str
    """The verb, and what a keymap calls it."""
    help: str
    """One line."""
    group: str
    where: tuple[str, ...] = _KEY
    """Where it may be typed; nowhere = it is a key only."""
    arguments: tuple[Argument, ...] = ()
    makes: Callable[..., cmd.AnyCommand] | None = None
    """The command for the engine, of the arguments' fields. None: in a lesson's line an action (the one of
    socklab.commands.actions whose tag is the name), else the consumer does it itself."""
    aliases: str = ""
    examples: str = ""
    keys: str = ""
    """A letter, a sign, or a name such as ctrl+q; the first one is shown."""
    action: str = ""
    """The action of the screen, with arguments as Textual writes them; "" = as the command is called."""
    label: str = ""
    """One or two words, for the footer; "" = the name."""
    footer: str = ""
    """Situations in which the footer shows it: h held, r running, q question open, p looking at the past, e ended;
    o the lesson is over, w there is a wire, g it keeps packets, t the program waits for what is typed."""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "action", self.action or self.name.replace("-", "_"))
        msgspec.structs.force_setattr(self, "label", self.label or self.name)

    @property
    def words(self) -> tuple[str, ...]:
        """Every way to type it."""
        return (self.name, *self.aliases.split())

    @property
    def face(self) -> str:
        """Its key as help and footer write it; "" = it has none."""
        return face(self.keys.split()[0]) if self.keys else ""

    @property
    def faces(self) -> str:
        """All of its keys as they are printed."""
        return " ".join(face(key) for key in self.keys.split())

    @property
    def usage(self) -> str:
        return " ".join((self.name, *(argument.usage for argument in self.arguments)))

    def read(self, text: str, verb: str = "", names: Collection[str] = ()) -> dict[str, Any]:
        """The fields that the words behind the verb stand for. `names`: the clients there are. Raises UsageError."""
        expected = f"For example: {self.examples}" if self.examples else f"Expected: {self.usage}"
        line = Reader(verb or self.name, text, expected, names)
        fields: dict[str, Any] = {}
        for argument in self.arguments:
            fields |= argument.read(line)
        if line.text:
            raise line.wrong((self.arguments[-1].too_many if self.arguments else "") or "it stands alone")
        return fields


def face(key: str) -> str:
    """A key as it is printed: ← for left, Ctrl+Q for ctrl+q."""
    if len(key) == 1:
        return key
    return "+".join(_FACES.get(part, part.capitalize()) for part in key.split("+"))


_PANELS = (
    "stage",
    "descriptors",
    "sockets",
    "queues",
    "counters",
    "clients",
    "wire",
    "source",
    "output",
    "call",
    "processes",
    "acceptqueue",
    "datapath",
    "byteorder",
)

_RULES = (
    Command("hold", "Hold the packets you say: hold syn-ack, hold ack from a.", WIRE, _ALL,
            (wire.amount("next", "every", "all", otherwise=0, numbered=False), wire.PACKETS),
            examples="hold all, hold syn-ack, hold ack from a, hold next data",
            keys="g", action="wire_prompt('hold ')", label="hold ...", footer="w"),
    Command("drop", "Drop the chosen packet, or the one held longest.", WIRE, _ALL,
            (wire.amount("next", "every", "all"), wire.PACKETS), keys="X", footer="g",
            examples="drop, drop 2, drop all, drop #17 (held ones); drop next syn-ack, drop every retransmission "
            "(yet to come)"),
    Command("reorder", "Let two packets change places.", WIRE, _ALL, (wire.amount("next", "all"), wire.PACKETS),
            examples="reorder (the first two held), reorder next (the next two to come)"),
    Command("delay", "Make the wire slow: delay 100 jitter 20.", WIRE, _ALL,
            (wire.number("ms", "MILLISECONDS", "ms", 60_000, beyond="A packet to keep longer: hold it."),
             wire.number("jitter_ms", "[JITTER]", "ms", 60_000, named="jitter"), wire.PACKETS),
            keys="L", action="wire_prompt('delay 100 ')",
            examples="delay 100, delay 100 jitter 20, delay 100 data from server, delay 0"),
    Command("loss", "Make the wire lose packets: loss 20 data from server.", WIRE, _ALL,
            (wire.number("percent", "PERCENT", "%", 100), wire.number("seed", "[SEED]", "", named="seed", kind=int),
             wire.PACKETS),
            keys="l", action="wire_prompt('loss 20 ')",
            examples="loss 20, loss 20 seed 7, loss 20 data from server, loss 0"),
)  # fmt: skip
"""Verbs that put a rule in force, which `release` takes away."""

COMMANDS = (
    Command("step", "Run to the next stop: before a call, then after it.", PROGRAM, _TYPED, makes=cmd.Step,
            aliases="s", keys="s space", footer="h"),
    Command("over", "Run to the next call, over the result of this one.", PROGRAM, _TYPED,
            makes=partial(cmd.Step, over=True), aliases="o", keys="o", footer="h"),
    Command("next", "Run to the next step of the lesson.", PROGRAM, _TYPED, makes=partial(cmd.Continue, until="step"),
            aliases="n", keys="n", footer="h"),
    Command("until", "Run until accept, read fd=4, any error ...; alone: run freely.",
            PROGRAM, _TYPED, (arg.CONDITION,), cmd.Continue, "c continue",
            "until accept, until read fd=4, until write errno=EPIPE, until any error",
            keys="c", action="prompt('until ')", footer="h"),
    Command("accept", "Let the server accept one; accept every 2: one each 2 s.", PROGRAM, _TYPED, (arg.ACCEPT,),
            examples="accept (runs on until accept has returned), accept every 2, accept stop", keys="A"),
    Command("pause", "Hold the running program where it is.", PROGRAM, _TYPED, makes=cmd.Pause,
            aliases="p", keys="p", footer="r"),
    Command("focus", "Look at this process or thread, and step it.", PROGRAM, _TYPED, (arg.PID,), cmd.Focus),
    Command("next-task", "The next process or thread; also the process panel.", PROGRAM, keys="]",
            action="neighbour(1)", label="next task"),
    Command("previous-task", "The process or thread before.", PROGRAM, keys="[",
            action="neighbour(-1)", label="task before"),
    Command("others", "Let the others run while this task is stepped, or hold them.", PROGRAM, _TYPED,
            (arg.choice("run", "run", "hold", value="run".__eq__),), cmd.Others, keys="f", label="free others"),
    Command("stdin", "A line for the program's standard input.", PROGRAM, _TYPED, (arg.INPUT,),
            cmd.Input, "input", r'stdin hello, stdin "a\x00b"', keys="i", action="prompt('stdin ')", label="input",
            footer="t"),

    Command("connect", "Connect one more client; connect 5, connect a b.", CLIENTS, _ALL, (arg.CLIENTS,),
            keys="k", footer="hr"),
    Command("connect-many", "Connect several clients at once.", CLIENTS, keys="K",
            action="prompt('connect 5')", label="connect N"),
    Command("send", 'Send bytes from a client: send a "hi\\n".', CLIENTS, _ALL,
            (arg.CLIENT, arg.TEXT), keys="e", footer="hr"),
    Command("half-close", "The client sends FIN and goes on reading.", CLIENTS, _ALL, (arg.CLIENT,), keys="h",
            action="client('half-close')"),
    Command("close", "The client closes; a program of `!` is told to end.", CLIENTS, _ALL, (arg.CLIENT,),
            keys="x", action="client('close')", footer="hr"),
    Command("reset", "The client resets its connection; a program is killed.", CLIENTS, _ALL, (arg.CLIENT,),
            keys="R", action="client('reset')"),
    Command("stop-reading", "What comes stays in the client's receive queue.", CLIENTS, _ALL, (arg.CLIENT,)),
    Command("read", "The client reads what has come, and all that comes.", CLIENTS, _ALL, (arg.CLIENT,)),
    Command("!", "Run a real program where clients live.", CLIENTS, _ALL, (arg.host("client"), arg.PROGRAM),
            keys="!", action="prompt('! ')", label="run", footer="hr"),
    Command("set", "Show or change a kernel setting of the lab's hosts.", CLIENTS, _ALL,
            (arg.host("server"), arg.SETTING)),

    Command("deliver", "Deliver the chosen packet, or the one held longest.", WIRE, _ALL,
            (wire.amount("next", "all", coming=False), wire.PACKETS), keys="d", footer="g",
            examples="deliver, deliver 2, deliver all, deliver syn-ack, deliver #17"),
    Command("deliver-all", "Deliver every packet that is held.", WIRE, keys="D", label="all", footer="g"),
    Command("hold-all", "Hold every packet that comes; again: let go.", WIRE, keys="H", label="hold all", footer="w"),
    *_RULES,
    Command("release", "The rules of the wire away, and what they hold delivered.", WIRE, _ALL,
            (arg.choice("scope", "all", *(rule.name for rule in _RULES), usage="[WHICH RULES]", default="all"),),
            examples="release (every rule, and all that is held), release hold, release loss",
            keys="u", label="undo rules"),

    Command("past", "Show the stop before.", LOOK, (SCREEN,), keys="left", label="earlier", footer="p"),
    Command("future", "Show the stop after; at the end: now.", LOOK, (SCREEN,), keys="right", label="later",
            footer="p"),
    Command("first", "Show the first stop.", LOOK, (SCREEN,), keys="home", footer="p"),
    Command("now", "Back to now.", LOOK, (SCREEN,), keys="end", footer="p"),
    Command("next-panel", "The next panel; its key goes there directly.", LOOK, keys="tab",
            action="cycle(1)", label="panel"),
    Command("previous-panel", "The panel before.", LOOK, keys="shift+tab", action="cycle(-1)", label="panel back"),
    Command("wire-panel", "The packets on the wire, where the lab has one of its own.", LOOK, keys="w",
            action="panel('wire')", label="wire"),
    Command("stage-panel", "The picture of the whole lab.", LOOK, keys="`", action="panel('stage')", label="stage"),
    Command("show", "All of one kind: show sockets, show wire.", LOOK, _TYPED, (arg.choice("argument", *_PANELS),)),
    Command("panels", "Every panel: choose one.", LOOK, (SCREEN,), keys="P"),
    Command("steps", "The lesson's steps and your bookmarks: go to one of them.", LOOK, (SCREEN,), keys="S"),
    Command("mark", "A bookmark at the stop shown, and away again: mark the leak.", LOOK, (SCREEN,),
            (arg.rest("[WORDS]"),), keys="M", label="bookmark", examples="mark, mark here the queue is full"),
    Command("maximise", "Give the panel the whole screen, and back.", LOOK, (SCREEN,), keys="z m", label="zoom",
            footer="hr"),
    Command("stack", "Every frame below the source (backtrace); ↑ ↓ choose one.", LOOK, (SCREEN,), keys="b",
            label="call stack"),
    Command("verbose", "Show more: bytes of buffers, every frame of the stack.", LOOK, (SCREEN,), keys="v",
            label="more"),
    Command("raw", "What a panel was drawn from, raw; a command shows the same.", LOOK, _TYPED,
            (arg.rest("[PANEL [WHICH]]", offers=(*_PANELS, "narration")),), aliases="evidence", keys="r",
            label="evidence", examples="raw sockets 3, raw descriptors 4, raw wire #17; in plain text also raw run 2"),
    Command("why", "Where the chosen row came from; alone: what changed here.", LOOK, _TYPED,
            (arg.rest("[WHAT]"),), keys="y", examples="why, why client a, why client a 17 (its 17th byte), why packet "
            "12, why fd 4, why socket 1, why queue 1, why ListenDrops, why call 12"),
    Command("row", "Scroll the panel, or choose a socket, a client, a packet.", LOOK, keys="up down"),
    Command("present", "For a class: the stage large; Space goes on, ← back.", LOOK, (SCREEN,), keys="f5",
            label="present"),
    Command("theme", "Dark, light, the terminal's own colours.", LOOK, (SCREEN,), keys="t"),

    Command("pcap", "Write the packets so far as a capture.", LAB, _TYPED,
            (arg.rest("FILE", "the file's name is missing"),)),
    Command("prompt", 'Type any action: connect 5, send a "hi", set net.ipv4...', LAB, keys=":", label="type",
            footer="hre"),
    Command("restart", "Start the same run anew; restart 4: and run it to step 4.", LAB, _TYPED, (arg.STEP,),
            examples="restart, restart 4 (earlier answers are given as they were)", keys="ctrl+r", footer="eo"),
    Command("language", "The same lesson in C or in Python, at the same step.", LAB, _TYPED,
            (arg.choice("argument", "", "c", "python", usage="[c|python]"),), keys="T", label="C ⇄ Python"),
    Command("help", "These commands; help hold: how one is used.", LAB, _TYPED, (arg.rest("[VERB]"),),
            aliases="h ?", keys="? f1", footer="hrqpe"),
    Command("quit", "End the lab and everything it started.", LAB, _TYPED, makes=cmd.Quit, aliases="q exit",
            keys="q ctrl+q", action="quit_lab", footer="hrqpe"),
)  # fmt: skip
