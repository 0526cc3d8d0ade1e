"""The vocabulary of the lab: one ordered stream of events.

Events carry facts, not prose: numbers as the kernel gave them and bytes as they lay in memory. Names and
explanations are made by pure functions when something is shown. A recording is this stream, saved. One event is one
line of JSON with its tag in "e". Bytes are base64, times are integer nanoseconds since the header. Imports `rows`, the
values that events carry, and `raw`, the events of evidence, and hands both on.
"""

from __future__ import annotations

from typing import TypeAlias

from socklab.protocol.raw import Event as Event, Evidence as Evidence, Ran as Ran
from socklab.protocol.rows import (
    Descriptor as Descriptor,
    Frame as Frame,
    Host as Host,
    KernelObject as KernelObject,
    Mem as Mem,
    ProcessRow as ProcessRow,
    Reading as Reading,
    SocketRow as SocketRow,
    Want as Want,
)

FORMAT = 1

# ---------------------------------------------------------------- the run


class Header(Event, frozen=True, tag="header"):
    """First event of every stream."""

    format: int
    socklab: str
    kernel: str
    arch: str
    """Machine name as uname gives it: x86_64, aarch64. Chooses the syscall table."""
    started_ns: int
    """Wall clock at t = 0, nanoseconds since the epoch."""
    network: str
    """two-hosts, private, or machine."""
    hosts: tuple[Host, ...]
    lesson: str = ""
    """Folder name of the lesson, or empty when a program of the user's own is run."""
    language: str = ""
    """c, python or empty."""


class LessonText(Event, frozen=True, tag="lesson"):
    """The lesson's own lesson.toml, so that a recording needs no lesson folder."""

    toml: str


class Source(Event, frozen=True, tag="source"):
    """A source file, sent before the first location that names it."""

    path: str
    language: str
    text: str


class Built(Event, frozen=True, tag="built"):
    argv: tuple[str, ...]
    cached: bool = False


class Started(Event, frozen=True, tag="started"):
    """The traced program exists; it has not run its first instruction."""

    pid: int
    host: str
    argv: tuple[str, ...]
    cwd: str
    traced: tuple[int, ...] = ()
    """Syscall numbers the seccomp filter reports."""


class Notice(Event, frozen=True, tag="notice"):
    """A word to the user: what happened, why, what to do next. level: info, warning, error."""

    level: str
    text: str
    fix: str = ""


class Ended(Event, frozen=True, tag="ended"):
    """Last event. reason: quit, done (the lesson's last step is over), exited, killed, failed."""

    reason: str
    checks_held: int = 0
    checks_failed: int = 0


# ---------------------------------------------------------------- the engine's answers


class Done(Event, frozen=True, tag="done"):
    """The one answer to the command `id`.

    outcome: done (its effect has been told entirely), refused (nothing was done; `reason` and `fix` say why, and a
    Notice has said so to the user), overtaken (another command took over, or the lab ended, before it was done).
    """

    id: int
    outcome: str
    reason: str = ""
    fix: str = ""


class Ready(Event, frozen=True, tag="ready"):
    """The engine has told all that it tells by itself, and waits; each command is followed by another Ready.

    wants: step (of a held task), lesson (a step too, but the program stays where it is: the lesson does what it offers,
    or begins its next beat), answer (to the open question), client (the program sleeps in a call), pause (the program
    runs on its own business), nothing (it has ended). True until one of the events BUSY. A command may be sent at any
    time.
    """

    wants: str
    tid: int = 0
    """The task that was held last, while it lives."""
    held: tuple[int, ...] = ()
    """Every task that may be stepped, the one held last at the end."""


# ---------------------------------------------------------------- the traced program


class Enter(Event, frozen=True, tag="enter"):
    """syscall-enter-stop: the call is about to be made. `mem` holds what its pointer arguments point to."""

    tid: int
    nr: int
    args: tuple[int, ...]
    """Six registers, unsigned 64 bit."""
    mem: tuple[Mem, ...] = ()


class Return(Event, frozen=True, tag="return"):
    """syscall-exit-stop. `result` is the signed register: negative = -errno. `mem` holds what the kernel wrote."""

    tid: int
    nr: int
    result: int
    mem: tuple[Mem, ...] = ()


class Held(Event, frozen=True, tag="held"):
    """The task is stopped and waits for a command. Everything it can be asked has been read before this event.

    at: enter (before the call in its last Enter), return (after it), interrupt (paused in user code), signal.
    """

    tid: int
    at: str
    stack: tuple[Frame, ...] = ()
    """Innermost first; only the user's own files. Empty = no line information, and `unlined` says why."""
    unlined: str = ""


class Place(Event, frozen=True, tag="place"):
    """Where in the source a task is that sleeps in a call at which it was not held: `stack`, `unlined` as in Held."""

    tid: int
    stack: tuple[Frame, ...] = ()
    unlined: str = ""


class Resumed(Event, frozen=True, tag="resumed"):
    tid: int


class Signal(Event, frozen=True, tag="signal"):
    """A signal is about to be delivered to the task (signal-delivery-stop)."""

    tid: int
    signo: int
    code: int = 0
    """si_code; > 0 = sent by the kernel."""
    sender: int = 0
    """si_pid when another process sent it."""
    addr: int = 0
    """si_addr of SIGSEGV, SIGBUS, SIGILL, SIGFPE."""
    handled: bool = False
    """The program has a handler for it. Not looked at in a run that records only."""


class Forked(Event, frozen=True, tag="forked"):
    """kind: fork, vfork, clone (new process) or thread (same descriptor table and memory)."""

    tid: int
    child: int
    kind: str


class Execed(Event, frozen=True, tag="execed"):
    tid: int
    argv: tuple[str, ...]
    former: int = 0
    """Thread that called execve, when it was not the leader: its id is `tid` from now on."""


class Exited(Event, frozen=True, tag="exited"):
    """The task is gone. signo > 0: killed by that signal; else `code` is the exit status."""

    tid: int
    code: int = 0
    signo: int = 0
    core: bool = False


class Output(Event, frozen=True, tag="output"):
    """Bytes the program (source "server") or a client's command (source = its name) wrote. stream: out, err; in =
    what was typed to it, as the terminal would have echoed it."""

    source: str
    stream: str
    data: bytes


# ---------------------------------------------------------------- what the kernel holds


class Descriptors(Event, frozen=True, tag="descriptors"):
    """What changed in a process's descriptor table. Shared tables (threads) are listed under the leader."""

    pid: int
    set: tuple[Descriptor, ...] = ()
    closed: tuple[int, ...] = ()


class Sockets(Event, frozen=True, tag="sockets"):
    """What changed in a host's table."""

    host: str
    set: tuple[SocketRow, ...] = ()
    gone: tuple[int, ...] = ()


class Counters(Event, frozen=True, tag="counters"):
    """Counters of /proc/net/netstat and /proc/net/snmp that changed, absolute values by the kernel's names."""

    host: str
    values: dict[str, int]


class Setting(Event, frozen=True, tag="setting"):
    """A sysctl of the host (net.ipv4...), read or just set."""

    host: str
    name: str
    value: str


class Processes(Event, frozen=True, tag="processes"):
    set: tuple[ProcessRow, ...] = ()
    gone: tuple[int, ...] = ()


# ---------------------------------------------------------------- clients and the wire


class Acted(Event, frozen=True, tag="acted"):
    """A client action was carried out. `line` is the verb line as typed ("connect 5"); origin: lesson or student."""

    line: str
    origin: str


class Client(Event, frozen=True, tag="client"):
    """All that is known of one client. phase: connecting, open, half-closed, closed, reset, failed, running, done.

    A client that runs a real command has `argv`; phases running and done, `code` its exit status.
    """

    name: str
    phase: str
    host: str = ""
    local: str = ""
    remote: str = ""
    inode: int = 0
    sent: int = 0
    received: int = 0
    tail: bytes = b""
    """The last bytes received, at most 256."""
    eof: bool = False
    errno: int = 0
    argv: tuple[str, ...] = ()
    pid: int = 0
    code: int = 0


class Packet(Event, frozen=True, tag="packet"):
    """An IP packet entered the wire. `data` is its beginning (headers and a payload prefix), `length` its size."""

    id: int
    source: str
    destination: str
    data: bytes
    length: int


class PacketFate(Event, frozen=True, tag="fate"):
    """fate: held, delivered, dropped, delayed."""

    id: int
    fate: str


class ResetSent(Event, frozen=True, tag="reset-sent"):
    """The kernel sent an RST from `local`, and why: a name of its sk_rst_reason. Of the lab's own processes, where the
    machine lets it be seen; `pid` is the one in whose time it was sent."""

    pid: int
    local: str
    remote: str
    reason: str


class WireRules(Event, frozen=True, tag="rules"):
    """The wire's rules in force, oldest first, as one would type them: "hold syn-ack", "loss 20 seed 0 all"."""

    rules: tuple[str, ...] = ()


# ---------------------------------------------------------------- the lesson


class StepReached(Event, frozen=True, tag="step"):
    """The lesson's step `index` (0-based) is at its `phase`: before (the call is about to be made) or after."""

    index: int
    phase: str


class Asked(Event, frozen=True, tag="asked"):
    """The prediction of step `index` is open: what it `hides` stays masked until Measured."""

    index: int


class Answered(Event, frozen=True, tag="answered"):
    """The student has committed; the answer does not exist yet: Measured comes when the step's call has returned.

    Only for predictions whose `when` is "return"; the others go from Asked to Measured at once.
    """

    index: int
    choice: int | str | bool | None = None


class Measured(Event, frozen=True, tag="measured"):
    """The kernel's answer. `choice` is what the student committed to, null when nobody was asked (unattended)."""

    index: int
    value: int | str | bool | None
    choice: int | str | bool | None = None
    right: bool | None = None


class Checked(Event, frozen=True, tag="checked"):
    """Check `index` of the lesson, read at its moment. `value` null with a `reason` = could not be read."""

    index: int
    held: bool
    probe: str
    expected: int | str | bool
    value: int | str | bool | None
    reason: str = ""


class Offered(Event, frozen=True, tag="offered"):
    """The lesson leaves these verb lines to the student, until they are done or a Step leaves them to the lesson.

    Told anew with what is left when one of them was done. No lines = there is no offer any more.
    """

    index: int
    lines: tuple[str, ...] = ()


class LessonDone(Event, frozen=True, tag="lesson-done"):
    """Every step has been reached; the program can still be stepped on."""


AnyEvent: TypeAlias = (
    Header | LessonText | Source | Built | Started | Notice | Ended | Done | Ready | Enter | Return | Held | Place |
    Resumed | Signal | Forked | Execed | Exited | Output | Descriptors | Sockets | Evidence | Ran | Counters | Setting |
    Processes | Acted | Client | Packet | PacketFate | ResetSent | WireRules | StepReached | Asked | Answered |
    Measured | Checked | Offered | LessonDone
)  # fmt: skip

BUSY = (Held, Acted, StepReached, Asked, Answered, Measured, Offered, Exited, Ended)
"""After one of these the engine is not Ready any more, until it says so again. Resumed ends only a wait for a step."""
