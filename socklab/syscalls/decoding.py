"""A raw call and its captured memory to names, symbols and explanations; and to the line strace would print.

In: events.Enter, its events.Return if there is one, the architecture. Out: DecodedCall, or text. Total: any registers
and any bytes give a result; never an exception.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, cast

from socklab.protocol.events import Enter, Return
from socklab.syscalls import constants_io, constants_net, constants_process
from socklab.syscalls.call import Call, DecodedArg, DecodedCall, Shown
from socklab.syscalls.kinds import KINDS
from socklab.syscalls.rows import ROWS
from socklab.syscalls.show.common import named, struct
from socklab.syscalls.show.processes import clone_arguments
from socklab.syscalls.show.results import show as show_result
from socklab.syscalls.tables import name as name_of

_CONSTANTS = (constants_net, constants_io, constants_process)


@cache
def shower(kind: str) -> Callable[..., Shown | None]:
    """What shows an argument of this kind: called with the Call, its position and those of its refs.

    None out of it says that the very call has no such argument: open without O_CREAT takes no mode.
    """
    if kind.isupper():
        table: Any = next(getattr(each, kind) for each in _CONSTANTS if hasattr(each, kind))
        return lambda call, index: named(table, call.u32(index))
    entry = KINDS[kind]
    module, _, name = entry.show.partition(".")
    show = getattr(import_module(f"socklab.syscalls.show.{module}"), name)
    size = entry.struct
    if not size:
        return cast(Callable[..., Shown | None], show)

    def show_struct(call: Call, index: int, *refs: int) -> Shown:
        addr = call.u64(index)
        image = call.after if entry.out else call.before
        return struct(call, addr, image.at(addr, size) if call.done or not entry.out else None, size, show)

    return show_struct


_Parameter = tuple[str, str, Callable[..., Shown | None], tuple[int, ...]]


@cache
def _parameters(name: str, tls_first: bool) -> tuple[_Parameter, ...] | None:
    """Name, meaning, shower and refs of each parameter; None = shown by its registers alone."""
    row = ROWS.get(name)
    if row is None or not row.known:
        return None
    found = [(each.name, row.notes.get(each.name, ""), shower(each.kind), each.refs) for each in row.parameters]
    if name == "clone" and tls_first:
        found[3], found[4] = found[4], found[3]
    return tuple(found)


def _shown(call: Call) -> list[tuple[str, str, Shown]]:
    """Name, general meaning and decoded value of each argument."""
    parameters = _parameters(call.name, call.name == "clone" and call.machine.clone_tls_first)
    if parameters is None:
        values = [call.u64(index) for index in range(6)]
        return [(f"arg{index}", "", Shown(hex(value) if value else "0")) for index, value in enumerate(values)]
    shown = []
    for index, (name, meaning, show, refs) in enumerate(parameters):
        value = show(call, index, *refs) if name != "_" else None
        if value is not None:
            shown.append((name, meaning, value))
    return shown


def decode(
    arch: str, enter: Enter, returned: Return | None = None, target: Callable[[int], str] | None = None
) -> DecodedCall:
    """One call as a student reads it. `target(fd)` tells what a descriptor is ("socket:[123]"), if the caller knows."""
    call = Call(arch, name_of(arch, enter.nr), enter, returned, target)
    row = ROWS.get(call.name)
    args = tuple(
        DecodedArg(name, shown.text, shown.meaning or meaning, shown.data, shown.fields)
        for name, meaning, shown in _shown(call)
    )
    meaning = row.notes.get("", "") if row is not None else ""
    if call.result is None:
        return DecodedCall(call.name, args, meaning=meaning)
    result = show_result(call, row)
    return DecodedCall(call.name, args, result.text, call.result, result.errno, meaning, result.outcome)


def strace_text(arch: str, enter: Enter, returned: Return | None = None, string_limit: int = 32) -> str:
    """The call as `strace -s string_limit` prints it with its other settings untouched.

    Without a `returned` the line ends behind the closing parenthesis, except for calls that never return. strace
    decodes more calls than these; a call whose parameters are not known here shows six bare registers.
    """
    call = Call(arch, name_of(arch, enter.nr), enter, returned, string_limit=string_limit)
    row = ROWS.get(call.name)
    if call.name == "clone":
        parts = clone_arguments(call)
    else:
        parts = [shown.strace or shown.text for _, _, shown in _shown(call)]
    line = f"{call.name}({', '.join(parts)})"
    if call.result is None:
        return f"{line} = ?" if row is not None and row.result == "none" else line
    return f"{line} = {show_result(call, row).strace}"
