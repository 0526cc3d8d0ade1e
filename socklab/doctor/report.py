"""What this machine allows, found by trying, and the exact fix for what it does not.

In: nothing. Out: findings, one for each thing the lab needs or likes; as a table or JSON. Every check happens in a
child that is gone afterwards. `fix_for` gives the same words to whoever fails at run time. Never changes the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from socklab.core.errors import MachineError
from socklab.core.text import safe
from socklab.doctor import checks
from socklab.doctor.fixes import FIXES


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
    return FIXES[code]()


def _examined(code: str) -> Finding:
    name, means, check = _CHECKS[code]
    ok, found = check()
    return Finding(code, name, ok, found) if ok else Finding(code, name, ok, found, means, fix_for(code))


_NO_LESSON = "No program can be watched: no lesson can run."
_CHECKS: dict[str, tuple[str, str, Callable[[], checks.Result]]] = {
    "kernel": ("Linux 5.3 or later", _NO_LESSON, checks.check_kernel),
    "ptrace": ("ptrace", _NO_LESSON, checks.check_ptrace),
    "yama": ("Yama ptrace_scope", _NO_LESSON, checks.check_yama),
    "syscall-info": ("PTRACE_GET_SYSCALL_INFO", _NO_LESSON, checks.check_syscall_info),
    "memory": ("/proc/PID/mem", _NO_LESSON, checks.check_memory),
    "seccomp": ("seccomp filter", _NO_LESSON, checks.check_seccomp),
    "namespaces": (
        "user and network namespaces",
        "Lessons run on this machine's own network, with a free port and without settings of their own.",
        checks.check_namespaces,
    ),
    "tun": ("TUN devices", "Lessons with two hosts and a wire between them can't run.", checks.check_tun),
    "sock_diag": (
        "sock_diag",
        "The length of an accept queue can't be read, and large socket tables are slow.",
        checks.check_sock_diag,
    ),
    "compiler": ("C compiler", "Lessons run with their Python server.", checks.check_compiler),
    "curl": ("curl", "A Python program asks for pages where lessons would show a real curl.", checks.check_curl),
    "terminal": ("terminal of 80x24", "The screen is cramped or can't be drawn; --plain works.", checks.check_terminal),
    "utf8": ("UTF-8", "Lines and arrows may show as question marks.", checks.check_utf8),
}


def report(*, as_json: bool = False) -> int:
    """Print the table. Exit code 0 if lessons can run here, else 4."""
    findings = examine()
    if as_json:
        rows: Any = msgspec.to_builtins(findings)
        print(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
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
