"""The registry of probes: names, what they mean, how one is looked up, and how a text's {probes} are found.

In: a probe's name. Out: the function that reads it, run on a state; Unmeasured where it has no value. The probes
themselves are in `program`, `network` and `packets`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias, TypeVar

from socklab.commands.packet_filter import KINDS
from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe
from socklab.state import TCP_STATES, LabState

Value: TypeAlias = int | str | bool


class Unmeasured(Exception):
    """The probe has no value at this moment; `reason` says why, in the student's words."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Read: TypeAlias = Callable[[LabState, dict[str, str]], Value]
T = TypeVar("T")

NAMES: dict[str, str] = {}
"""Every probe with its meaning. A part in capitals stands for what the author chooses: see PARTS."""

PARTS: dict[str, tuple[str, str]] = {
    "FD": (
        r"\d{1,7}|call|last",
        "a descriptor: its number, `call` (first argument of this call), `last` (see last.fd)",
    ),
    "CLIENT": (r"[A-Za-z][A-Za-z0-9_-]{0,15}", "a client's name: a, b, ... or the command's, such as curl"),
    "STATE": ("|".join(sorted({s.lower() for s in TCP_STATES.values()})), "a TCP state in small letters"),
    "COUNTER": (r"[A-Z][A-Za-z0-9]+", "a counter by the kernel's name"),
    "I": (r"[0-5]", "an argument, counted from 0"),
    "KIND": (
        "|".join(KINDS),
        "a kind of packet as the wire's verbs know it: syn, syn-ack, ack (alone), data, fin, rst, tcp, udp, icmp",
    ),
}

_COUNTERS = """
ListenOverflows ListenDrops TCPReqQFullDoCookies TCPReqQFullDrop SyncookiesSent SyncookiesRecv SyncookiesFailed
TCPTimeouts TCPSynRetrans RetransSegs TCPRetransFail TCPAbortOnData TCPAbortOnClose TCPAbortOnTimeout TCPAbortOnLinger
TCPAbortOnMemory TCPAbortFailed TCPBacklogDrop TCPZeroWindowDrop TCPToZeroWindowAdv TCPFromZeroWindowAdv
TCPWantZeroWindowAdv TCPWinProbe TW ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs InErrs
OutRsts InCsumErrors
"""
COUNTERS = frozenset(_COUNTERS.split())
"""Counters of /proc/net/netstat (TcpExt) and /proc/net/snmp (Tcp) that a lesson may name."""

Legal: TypeAlias = "type[int] | type[str] | type[bool] | tuple[str, ...]"
"""What a probe can read: a whole number, any text, yes or no, or one of these words."""

STATES: tuple[str, ...] = tuple(TCP_STATES.values())

_PATTERNS: list[tuple[re.Pattern[str], Read, Legal]] = []


def probes(rows: Mapping[str, tuple[str, Read] | tuple[str, Read, Legal]]) -> None:
    """Register probes by name, each with its meaning, the function that reads it, and what it can read (a number)."""
    for name, (meaning, read, *legal) in rows.items():
        NAMES[name] = meaning
        parts = (f"(?P<{p}>{PARTS[p][0]})" if p in PARTS else re.escape(p) for p in name.split("."))
        _PATTERNS.append((re.compile(r"\.".join(parts)), read, legal[0] if legal else int))


def probes_of(
    find: Callable[[LabState, dict[str, str]], T],
    rows: Mapping[str, tuple[str, Callable[[T], Value]] | tuple[str, Callable[[T], Value], Legal]],
) -> None:
    """Register probes that read their values off the same thing: what `find` gives."""

    def read_by(value: Callable[[T], Value]) -> Read:
        return lambda state, parts: value(find(state, parts))

    probes({name: (row[0], read_by(row[1]), row[2] if len(row) == 3 else int) for name, row in rows.items()})


def the_state(state: LabState, parts: dict[str, str]) -> LabState:
    """What probes read that are about the whole lab: its state."""
    return state


def _resolve(name: str) -> tuple[Read, dict[str, str], Legal]:
    for pattern, read, legal in _PATTERNS:
        if found := pattern.fullmatch(name):
            return read, found.groupdict(), legal
    likely = sorted(NAMES)
    head, _, tail = name.partition(".")
    same_head = [known for known in likely if known.partition(".")[0] == head]
    if tail and same_head:
        last = [known for known in same_head if known.count(".") == name.count(".")] or same_head
        raise UsageError(
            f'no probe "{safe(name)}"', fix=f"{head} has: {', '.join(last)}. " + suggest(name, last, listed=0)
        )
    raise UsageError(f'no probe "{safe(name)}"', fix=suggest(name, likely))


def check_name(name: str) -> None:
    """Raises UsageError naming the nearest probe when `name` is none."""
    _, parts, _ = _resolve(name)
    counter = parts.get("COUNTER")
    if counter is not None and counter not in COUNTERS:
        raise UsageError(f'no counter "{safe(counter)}"', fix=suggest(counter, COUNTERS, listed=0))


def measure(state: LabState, name: str) -> Value:
    """What the probe reads in this state. Unmeasured: it has no value now. UsageError: there is no such probe."""
    read, parts, _ = _resolve(name)
    return read(state, parts)


_TYPES: dict[type, str] = {int: "a whole number", str: "a text", bool: "a yes or no"}


def check_value(name: str, value: Value) -> None:
    """Raises UsageError saying what is legal when the probe can never read this value."""
    legal = _resolve(name)[2]
    wanted = str if isinstance(legal, tuple) else legal
    if type(value) is not wanted:
        shown = ("no", "yes")[value] if isinstance(value, bool) else safe(str(value))
        raise UsageError(f"{shown} is {_TYPES[type(value)]}; {name} is {_TYPES[wanted]}")
    if isinstance(legal, tuple) and value not in legal:
        raise UsageError(
            f'{name} is never "{safe(str(value))}"',
            fix=f"{suggest(str(value), legal, listed=0)} It is one of: {', '.join(legal)}.".strip(),
        )


_SUBSTITUTED = re.compile(r"\{([A-Za-z][\w-]*(?:\.[\w-]+)+)\}")


def names_in(text: str) -> list[str]:
    """Probe names that a narration text wants to have substituted, in order."""
    return _SUBSTITUTED.findall(text)


def substitute(text: str, value_of: Callable[[str], str]) -> str:
    """`text` with each `{probe}` replaced."""
    return _SUBSTITUTED.sub(lambda found: value_of(found[1]), text)
