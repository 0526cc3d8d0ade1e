"""What this machine allows, found by trying, and the exact fix for what it does not.

In: nothing. Out: findings, one for each thing the lab needs or likes; as a table or JSON. Every check happens in a
child that is gone afterwards. `fix_for` gives the same words to whoever fails at run time. Never changes the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import msgspec

from socklab.core.errors import MachineError
from socklab.core.text import safe
from socklab.doctor import checks, fixes


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. `ok`: true = as it should be, null = lessons run with less, false = no lesson can run."""

    code: str
    name: str
    ok: bool | None
    found: str
    means: str = ""
    """What does not work because of it; empty when ok."""
    fix: str = ""


def examine() -> list[Finding]:
    """Try everything. Takes about a quarter of a second, most of it the compiler's."""
    return [_examined(code) for code in _CHECKS]


def can_run(findings: list[Finding]) -> bool:
    """Whether lessons can run here, if perhaps with less than everything."""
    return all(finding.ok is not False for finding in findings)


def fix_for(code: str) -> str:
    """What to do on this machine about the finding `code`: the text that `socklab doctor` shows."""
    return _CHECKS[code].fix()


def _examined(code: str) -> Finding:
    check = _CHECKS[code]
    ok, found = check.look()
    return Finding(code, check.name, ok, found, *(() if ok else (check.means, check.fix())))


class _Check(NamedTuple):
    name: str
    means: str
    """What does not work without it."""
    look: Callable[[], checks.Result]
    fix: Callable[[], str]


_NO_LESSON = "No program can be watched: no lesson can run."
_OWN_NETWORK = "Lessons run on this machine's own network, with a free port and without settings of their own."
_NO_QUEUE = "The length of an accept queue can't be read, and large socket tables are slow."
_NO_CURL = "A Python program asks for pages where lessons would show a real curl."

_CHECKS = {
    "kernel": _Check("Linux 5.3 or later", _NO_LESSON, checks.check_kernel, fixes.fix_kernel),
    "ptrace": _Check("ptrace", _NO_LESSON, partial(checks.check_traced, "seize", "a child process was traced"),
                     fixes.fix_ptrace),
    "yama": _Check("Yama ptrace_scope", _NO_LESSON, checks.check_yama, fixes.fix_yama),
    "syscall-info": _Check("PTRACE_GET_SYSCALL_INFO", _NO_LESSON,
                           partial(checks.check_traced, "syscall_info", "calls can be read at a stop"),
                           fixes.fix_ptrace),
    "memory": _Check("/proc/PID/mem", _NO_LESSON,
                     partial(checks.check_traced, "memory", "a stopped program's memory can be read"),
                     fixes.fix_memory),
    "seccomp": _Check("seccomp filter", _NO_LESSON, checks.check_seccomp, fixes.fix_seccomp),
    "calls": _Check("calls of the engine", _NO_LESSON, checks.check_calls, fixes.fix_calls),
    "namespaces": _Check("user and network namespaces", _OWN_NETWORK, checks.check_namespaces, fixes.fix_namespaces),
    "tun": _Check("TUN devices", "Lessons with two hosts and a wire between them can't run.", checks.check_tun,
                  fixes.fix_tun),
    "sock_diag": _Check("sock_diag", _NO_QUEUE, checks.check_sock_diag,
                        lambda: fixes.sudo("modprobe -a inet_diag tcp_diag")),
    "compiler": _Check("C compiler", "Lessons run with their Python server.", checks.check_compiler,
                       lambda: fixes.install({"": "gcc", "apt": "gcc libc6-dev", "apk": "gcc musl-dev"})),
    "curl": _Check("curl", _NO_CURL, checks.check_curl, lambda: fixes.install({"": "curl"})),
    "terminal": _Check("terminal of 80x24", "The screen is cramped or can't be drawn; --plain works.",
                       checks.check_terminal, fixes.fix_terminal),
    "utf8": _Check("UTF-8", "Lines and arrows may show as question marks.", checks.check_utf8,
                   lambda: "export LC_ALL=C.UTF-8"),
}  # fmt: skip


def report(*, as_json: bool = False) -> int:
    """Print the table. Exit code 0 if lessons can run here, else 4."""
    findings = examine()
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(findings), indent=2).decode())
    else:
        print(table(findings))
    return 0 if can_run(findings) else MachineError.exit_code


_MARKS = {True: "ok", None: "less", False: "NO"}


def table(findings: list[Finding]) -> str:
    """The findings as a table, each shortfall with what it means and its fix; then the verdict."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{_MARKS[finding.ok]:<4}  {finding.name:<{width}}  {safe(finding.found)}")
        if not finding.ok:
            lines.append(f"      {'':<{width}}  {finding.means}")
            lines += [f"      {'':<{width}}  Fix: {safe(line)}" for line in finding.fix.splitlines()]
    short = sum(finding.ok is None for finding in findings)
    if not can_run(findings):
        verdict = "Lessons can't run here yet."
    elif short:
        verdict = "Lessons run here, with less than everything."
    else:
        verdict = "Everything is there: all lessons run here."
    return "\n".join([*lines, "", verdict])
