"""The bytes of a socket address in both byte orders: what the kernel reads, and what it would be without htons.

In: the sockaddr of the call in hand, else of the last call that had one. Out: its bytes by field, each as a number in
network order and in the machine's own. Never says what was meant: it says what the bytes say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from socklab import state as st
from socklab.core.text import safe
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.view.byte_order import swapped_port
from socklab.ui.view.formats import arch, call_name
from socklab.ui.view.lines import EMPTY, Line, Span, View, column, wrap

if TYPE_CHECKING:
    from socklab.evidence import Subject
    from socklab.syscalls.call import DecodedArg, Field

_LOOKED_AT = 200
"""So many calls are looked back at for an address."""

_HOST_ORDER = ("sin_family", "sin6_family")
"""Fields that the kernel reads in the machine's own order; the others are in network order."""

_WIDE = 56

_ROLES = ("client0", "client1", "client2", "dim", "client3")


class ByteOrderPanel(Panel):
    """A sockaddr, byte by byte."""

    title_text = "Byte order"
    new_at_stop = True

    def nothing(self, state: st.LabState) -> str:
        return "" if _found(state) is not None else "No call has given the kernel an IP address yet."

    def evidence(self, state: st.LabState, view: View) -> Subject | str:
        from socklab import evidence

        found = _found(state)
        return evidence.of_call(state, found[0]) if found is not None else self.nothing(state)

    def absent(self, state: st.LabState) -> str:
        return self.nothing(state)

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        found = _found(state)
        if found is None:
            return []
        call, arg = found
        name = call_name(state, call.entered.nr)
        where = f"{safe(arg.name)}, call {call.number + 1}: " if view.width >= _WIDE else ""
        head: Line = ((f"{name} ", "name"), (where, "dim"), (f"{len(arg.data)} bytes as they lie in memory", ""))
        gap = [] if view.compact else [EMPTY]
        lines = [head, *gap, *_memory(arg, view.width), *gap, *_table(arg, view), *gap]
        return [*lines, *(line for said in _said(arg) for line in wrap(((said, ""),), view.width))]

    def relevance(self, state: st.LabState, call: str) -> int:
        return 1 if call in ("bind", "connect") else 0


def _found(state: st.LabState) -> tuple[st.Call, DecodedArg] | None:
    """The address of the call in hand, else the last one that was given to the kernel or came from it."""
    task = state.task
    if task is not None and task.call is not None and (arg := _address(state, task.call)) is not None:
        return task.call, arg
    for place in range(len(state.calls) - 1, max(-1, len(state.calls) - 1 - _LOOKED_AT), -1):
        call = state.calls[place]
        if (arg := _address(state, call)) is not None:
            return call, arg
    return None


def _address(state: st.LabState, call: st.Call) -> DecodedArg | None:
    if not call.entered.mem and (call.returned is None or not call.returned.mem):
        return None
    from socklab.syscalls import decode

    args = decode(arch(state), call.entered, call.returned, lambda _fd: "").args
    return next((arg for arg in args if arg.fields and arg.fields[0].name in _HOST_ORDER), None)


# ---------------------------------------------------------------- the bytes


def _memory(arg: DecodedArg, room: int) -> list[Line]:
    """The bytes, and below them which field each belongs to; in few cells without the padding."""
    above: list[Span] = [(" ", "")]
    below: list[Span] = [(" ", "")]
    for place, field in enumerate(arg.fields):
        if field.name == "sin_zero" and room < _WIDE:
            continue
        raw = arg.data[field.offset : field.offset + field.size].hex(" ")
        name = _short(field)
        cells = max(len(raw), len(name)) + 2
        above.append(column(raw, cells, f"strong {_ROLES[place % len(_ROLES)]}"))
        below.append(column(name, cells, "dim"))
    return [tuple(above), tuple(below)]


def _short(field: Field) -> str:
    return {"family": "family", "port": "port", "addr": "address", "zero": "padding"}.get(
        field.name.partition("_")[2], safe(field.name.partition("_")[2])
    )


def _table(arg: DecodedArg, view: View) -> list[Line]:
    """Each number in both orders; what the kernel reads is strong."""
    wide = view.width >= _WIDE
    cells = 18 if wide else 12
    heads = ("network order", "this machine's") if wide else ("network", "machine's")
    lines: list[Line] = [
        ((" ", ""), column("", 12, "dim"), *(column(head, cells, "dim") for head in heads), ("kernel reads", "dim"))
    ]
    for place, field in enumerate(arg.fields):
        raw = arg.data[field.offset : field.offset + field.size]
        if field.name == "sin_zero" or len(raw) < field.size or field.size > 4:
            continue
        own = field.name in _HOST_ORDER
        both = (_number(field, raw), _number(field, raw[::-1]))
        reads = safe(field.text.partition(" (")[0])
        lines.append((
            (" ", ""),
            column(safe(field.name), 12, _ROLES[place % len(_ROLES)]),
            column(both[0], cells, "dim" if own else "strong"),
            column(both[1], cells, "strong" if own else "dim"),
            (reads, "strong"),
        ))  # fmt: skip
    return lines


def _number(field: Field, raw: bytes) -> str:
    """Most significant byte first; an IPv4 address as people write it."""
    return ".".join(map(str, raw)) if field.name == "sin_addr" else str(int.from_bytes(raw, "big"))


def _said(arg: DecodedArg) -> list[str]:
    """What comes of the port's bytes, in sentences."""
    ports = swapped_port(arg)
    if ports is None or ports[0] == ports[1]:
        return []
    (port, swapped), raw = ports, ports[0].to_bytes(2, "big")
    said = [
        f"Port {port} is the bytes {raw.hex(' ')}: so htons puts them. Without it they would be {raw[::-1].hex(' ')}, "
        f"as this machine keeps the number, and the kernel would read {swapped}."
    ]
    if port > 9999 >= swapped:
        said.append(f"If {swapped} was meant, htons is missing: {port} is {swapped} with its two bytes swapped.")
    return said
