"""The two virtual machines of call frame information: the program that yields a rule, and its expressions.

In: the bytes of a program and an address. Out: a `Rule`: where the caller's stack pointer, frame pointer and return
address are. Only the three registers that a walk needs are followed. Pure; `cfi.py` finds the programs.

Source: DWARF 5, 6.4.2 Call Frame Instructions, 2.5 DWARF Expressions, 7.6 LEB128.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from socklab.arch.model import DwarfRegisters

SAME, AT_OFFSET, AT_EXPRESSION, IS_OFFSET, IS_EXPRESSION, UNDEFINED = range(6)


class Rule(NamedTuple):
    """The caller's registers, as seen from one address.

    The canonical frame address (the caller's stack pointer) is register `cfa_register` + `cfa_offset`, or the value
    of `cfa_expression`. `fp` and `ra` are (kind, offset or expression): SAME register as in this frame, saved
    AT_OFFSET from the CFA, ...; `ra` UNDEFINED = the outermost frame.
    """

    start: int
    """First address of the function."""
    cfa_register: int
    cfa_offset: int
    cfa_expression: bytes
    fp: tuple[int, int | bytes]
    ra: tuple[int, int | bytes]
    signal: bool
    """A signal trampoline: the caller was interrupted, so its address is no return address."""


class Common(NamedTuple):
    code_factor: int
    data_factor: int
    ra_register: int
    pointer_encoding: int
    augmented: bool
    signal: bool
    program: tuple[int, int]


def uleb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def sleb(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (value - (1 << shift) if byte & 0x40 else value), position


class State:
    """The registers of the little machine that a call frame program drives. Stops at the wanted address."""

    def __init__(self, registers: DwarfRegisters, common: Common) -> None:
        self.common = common
        self.registers = registers
        self.cfa: tuple[int, int, bytes] = (registers.sp, 0, b"")
        self.rules: dict[int, tuple[int, int | bytes]] = {}
        self.initial: dict[int, tuple[int, int | bytes]] = {}
        self.stack: list[tuple[tuple[int, int, bytes], dict[int, tuple[int, int | bytes]]]] = []

    def rule(self, start: int, signal: bool) -> Rule:
        same = (SAME, 0)
        fp = self.rules.get(self.registers.fp, same)
        ra = self.rules.get(self.common.ra_register, same)
        return Rule(start, *self.cfa, fp, ra, signal)

    def run(self, data: bytes, position: int, end: int, location: int, until: int) -> None:
        common = self.common
        factor = common.data_factor
        while position < end:
            opcode = data[position]
            position += 1
            high, low = opcode & 0xC0, opcode & 0x3F
            if high == 0x40:  # advance_loc
                location += low * common.code_factor
            elif high == 0x80:  # offset
                value, position = uleb(data, position)
                self.rules[low] = (AT_OFFSET, value * factor)
            elif high == 0xC0:  # restore
                self._restore(low)
            elif opcode == 0x01:  # set_loc
                location, position = struct.unpack_from("<Q", data, position)[0], position + 8
            elif opcode in (0x02, 0x03, 0x04):  # advance_loc1, 2, 4
                size = 1 << opcode - 2
                location += int.from_bytes(data[position : position + size], "little") * common.code_factor
                position += size
            elif opcode in (0x0C, 0x12):  # def_cfa, def_cfa_sf
                register, position = uleb(data, position)
                offset, position = uleb(data, position) if opcode == 0x0C else sleb(data, position)
                self.cfa = (register, offset * (1 if opcode == 0x0C else factor), b"")
            elif opcode == 0x0D:  # def_cfa_register
                register, position = uleb(data, position)
                self.cfa = (register, self.cfa[1], b"")
            elif opcode in (0x0E, 0x13):  # def_cfa_offset, def_cfa_offset_sf
                offset, position = uleb(data, position) if opcode == 0x0E else sleb(data, position)
                self.cfa = (self.cfa[0], offset * (1 if opcode == 0x0E else factor), b"")
            elif opcode == 0x0F:  # def_cfa_expression
                size, position = uleb(data, position)
                self.cfa = (-1, 0, bytes(data[position : position + size]))
                position += size
            elif opcode == 0x0A:  # remember_state
                self.stack.append((self.cfa, dict(self.rules)))
            elif opcode == 0x0B:  # restore_state
                self.cfa, self.rules = self.stack.pop()
            elif opcode == 0x2E:  # GNU_args_size
                _, position = uleb(data, position)
            elif opcode not in (0x00, 0x2D):  # nop; AARCH64_negate_ra_state, whose sign bits `where` drops anyway
                position = self._register_rule(data, opcode, position)
            if location >= until:
                return

    def _register_rule(self, data: bytes, opcode: int, position: int) -> int:
        register, position = uleb(data, position)
        factor = self.common.data_factor
        if opcode in (0x05, 0x14):  # offset_extended, val_offset
            value, position = uleb(data, position)
            self.rules[register] = (AT_OFFSET if opcode == 0x05 else IS_OFFSET, value * factor)
        elif opcode in (0x11, 0x15):  # offset_extended_sf, val_offset_sf
            value, position = sleb(data, position)
            self.rules[register] = (AT_OFFSET if opcode == 0x11 else IS_OFFSET, value * factor)
        elif opcode in (0x10, 0x16):  # expression, val_expression
            size, position = uleb(data, position)
            kind = AT_EXPRESSION if opcode == 0x10 else IS_EXPRESSION
            self.rules[register] = (kind, bytes(data[position : position + size]))
            position += size
        elif opcode == 0x06:  # restore_extended
            self._restore(register)
        elif opcode == 0x07:
            self.rules[register] = (UNDEFINED, 0)
        elif opcode == 0x08:
            self.rules[register] = (SAME, 0)
        elif opcode == 0x09:  # register: kept in one that is not followed
            _, position = uleb(data, position)
            self.rules[register] = (UNDEFINED, 0)
        else:
            raise ValueError(f"call frame instruction {opcode:#x}")
        return position

    def _restore(self, register: int) -> None:
        if register in self.initial:
            self.rules[register] = self.initial[register]
        else:
            self.rules.pop(register, None)


def evaluate(expression: bytes, known: dict[int, int], word: Callable[[int], int], cfa: int | None = None) -> int:
    """Value of a DWARF expression of the few operators that frames use (signal trampolines, PLT, realigned stacks).

    `known` gives registers by DWARF number, `word` reads 8 bytes of memory. Raises KeyError or ValueError.
    """
    stack: list[int] = [] if cfa is None else [cfa]
    position = 0
    while position < len(expression):
        opcode = expression[position]
        position += 1
        if 0x70 <= opcode <= 0x8F:  # bregN
            offset, position = sleb(expression, position)
            stack.append(known[opcode - 0x70] + offset)
        elif 0x30 <= opcode <= 0x4F:  # litN
            stack.append(opcode - 0x30)
        elif opcode == 0x06:  # deref
            stack.append(word(stack.pop()))
        elif opcode == 0x23:  # plus_uconst
            value, position = uleb(expression, position)
            stack[-1] += value
        elif opcode in (0x08, 0x09):  # const1u, const1s
            value = expression[position]
            stack.append(value - 256 if opcode == 0x09 and value > 127 else value)
            position += 1
        elif opcode in _BINARY:
            right, left = stack.pop(), stack.pop()
            stack.append(_BINARY[opcode](left, right))
        else:
            raise ValueError(f"DWARF operator {opcode:#x}")
    return stack[-1] & 0xFFFF_FFFF_FFFF_FFFF


_BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda left, right: left & right,
    0x1C: lambda left, right: left - right,
    0x22: lambda left, right: left + right,
    0x24: lambda left, right: left << (right & 63),
    0x2A: lambda left, right: int(left >= right),
}
