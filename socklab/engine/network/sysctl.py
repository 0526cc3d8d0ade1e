"""Kernel settings under /proc/sys/net, as the calling thread's network namespace has them.

In: names, full (`net.core.somaxconn`) or short (`somaxconn`). Out: full names and values. Reads and writes nothing
outside /proc/sys/net, and decides nothing about whose settings those are: topology.py does.

Source: Documentation/networking/ip-sysctl.rst; proc_sys_net(5).
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from socklab.core.errors import MachineError, UsageError

ROOT = Path("/proc/sys")
_FAMILIES = ("net/core", "net/ipv4", "net/ipv6")
_PART = re.compile(r"[A-Za-z0-9_:@-]+")

SHOWN = (
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_abort_on_overflow",
    "net.ipv4.tcp_syn_retries",
    "net.ipv4.tcp_synack_retries",
    "net.ipv4.tcp_retries2",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_tw_reuse",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_window_scaling",
    "net.ipv4.tcp_sack",
    "net.ipv4.tcp_timestamps",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
)
"""The settings lessons speak of."""


def find(name: str) -> tuple[str, Path]:
    """Full name and file of a setting. Raises UsageError naming the nearest one."""
    parts = name.replace("/", ".").split(".")
    if all(_PART.fullmatch(part) for part in parts):
        folders = [""] if parts[0] == "net" else _FAMILIES if len(parts) == 1 else ["net"]
        for folder in folders:
            path = ROOT.joinpath(folder, *parts)
            if path.is_file():
                return ".".join(path.relative_to(ROOT).parts), path
    import difflib

    known = [entry.name for family in _FAMILIES for entry in (ROOT / family).glob("*") if entry.is_file()]
    near = difflib.get_close_matches(parts[-1], [*known, *SHOWN], n=1)
    hint = f"Did you mean {near[0]}?" if near else f"For example {SHOWN[0]}."
    raise UsageError(f"This host has no kernel setting {name!r}.", fix=hint)


def _value(path: Path) -> str:
    # Fields of tcp_rmem and the like are separated by tabs.
    return " ".join(path.read_text().split())


def read(name: str) -> tuple[str, str]:
    """Full name and value. Raises UsageError for an unknown name, MachineError if it may not be read."""
    full, path = find(name)
    try:
        return full, _value(path)
    except OSError as error:
        raise MachineError(f"{full} cannot be read here: {error.strerror}.") from error


def text(name: str) -> tuple[str, bytes]:
    """The setting's file and what is in it, as it lies there. Raises UsageError for an unknown name, OSError."""
    _, path = find(name)
    return str(path), path.read_bytes()


def read_shown() -> dict[str, str]:
    """Every setting of SHOWN this kernel has."""
    values = {}
    for name in SHOWN:
        path = ROOT.joinpath(*name.split("."))
        try:
            values[name] = _value(path)
        except OSError:
            # A kernel without it (no IPv6, an older one) shows no such file.
            continue
    return values


def write(name: str, value: str) -> tuple[str, str]:
    """Set it; full name and the value the kernel then holds, which may differ (it rounds some)."""
    full, path = find(name)
    try:
        with path.open("w") as file:
            file.write(value + "\n")
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ERANGE, errno.E2BIG):
            now = _value(path)
            raise UsageError(
                f"{full} does not take {value!r} (it is {now!r}).", fix="See tcp(7) for its range."
            ) from error
        raise MachineError(
            f"{full} cannot be set here: {error.strerror}.",
            fix="The kernel shows it to this host but keeps it for the whole machine.",
        ) from error
    return full, _value(path)
