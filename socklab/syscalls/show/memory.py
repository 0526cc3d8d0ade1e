"""Limits of resources and flags of memory maps.

In and out as common.py says. Source: getrlimit(2), mmap(2).
"""

from __future__ import annotations

from struct import unpack_from

from socklab.syscalls.call import Call, Field, Shown
from socklab.syscalls.constants_process import MAP_FLAGS, MAP_TYPES

_INFINITY = (1 << 64) - 1


def _limit(value: int) -> str:
    if value == _INFINITY:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def rlimit(call: Call, raw: bytes) -> Shown:
    soft, hard = unpack_from("<QQ", raw)
    words = ["unlimited" if each == _INFINITY else str(each) for each in (soft, hard)]
    fields = (Field("rlim_cur", 0, 8, words[0]), Field("rlim_max", 8, 8, words[1]))
    strace = f"{{rlim_cur={_limit(soft)}, rlim_max={_limit(hard)}}}"
    return Shown(f"{{{words[0]} of {words[1]}}}", f"limit {words[0]}, may be raised to {words[1]}", raw, fields, strace)


def map_flags(call: Call, index: int) -> Shown:
    value = call.u32(index)
    rest = value & ~0xF
    text = MAP_TYPES.text(value & 0xF)
    return Shown(f"{text}|{MAP_FLAGS.text(rest)}" if rest else text)
