"""The exact fix for what a machine refuses, in the words of that machine.

In: a finding's code; the machine's switches, read now. Out: a line to type or to do. Tries nothing new, changes
nothing.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from socklab.arch import MACHINES
from socklab.core.text import safe
from socklab.doctor.checks import KERNEL_NEEDED, kernel_version, private_host, read_switch, try_two_hosts
from socklab.engine.network import refusals


def _sudo(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"


_INSTALL = {
    "debian": "apt install",
    "ubuntu": "apt install",
    "fedora": "dnf install",
    "rhel": "dnf install",
    "centos": "dnf install",
    "arch": "pacman -S",
    "alpine": "apk add",
    "suse": "zypper install",
}


def install(packages: dict[str, str]) -> str:
    """The command that installs a package here. `packages`: by apt, dnf, pacman, apk, zypper; "" = the usual name."""
    words = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', read_switch("/etc/os-release"), re.MULTILINE)
    for word in " ".join(words).split():
        command = _INSTALL.get(word)
        if command:
            return _sudo(f"{command} {packages.get(command.split()[0], packages[''])}")
    commands = sorted(set(_INSTALL.values()))
    return "One of: " + "; ".join(_sudo(f"{each} {packages.get(each.split()[0], packages[''])}") for each in commands)


def _fix_kernel() -> str:
    if platform.machine() not in MACHINES:
        return f"socklab knows the syscalls of {' and '.join(MACHINES)}; run it on one of these."
    if "microsoft" in platform.release().lower():
        return "This is WSL 1. In PowerShell: wsl --set-version <distribution> 2"
    return "Linux 5.3 or later is needed: update the system, or run socklab in a virtual machine."


def _fix_yama() -> str:
    if read_switch("/proc/sys/kernel/yama/ptrace_scope") == "3":
        return "Put kernel.yama.ptrace_scope=1 into /etc/sysctl.d/10-ptrace.conf and boot again."
    return _sudo("sysctl -w kernel.yama.ptrace_scope=1")


def _tracer() -> str:
    """Who traces this very process: "strace (pid 812)", or "". A process has one tracer (ptrace(2)), its child too."""
    try:
        found = re.search(r"^TracerPid:\t([1-9]\d*)$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return f"{Path(f'/proc/{found[1]}/comm').read_text().strip()} (pid {found[1]})" if found else ""
    except OSError:
        return ""


def _fix_ptrace() -> str:
    tracer = _tracer()
    if tracer:
        return f"{safe(tracer)} is tracing socklab itself, and a program can have one tracer: start socklab without it."
    if read_switch("/proc/sys/kernel/yama/ptrace_scope") in ("2", "3"):
        return _fix_yama()
    if kernel_version() < KERNEL_NEEDED:
        return _fix_kernel()
    container = refusals.in_container()
    if container:
        engine = container if container in ("docker", "podman") else "docker"
        return f"Start the container with: {engine} run --cap-add=SYS_PTRACE --security-opt seccomp=unconfined ..."
    return (
        "A sandbox or security module forbids tracing (SELinux: `sudo setsebool -P deny_ptrace off`); "
        "run socklab outside of it, or in a virtual machine."
    )


def _fix_seccomp() -> str:
    if refusals.in_container():
        return _fix_ptrace()
    return "Use a kernel with CONFIG_SECCOMP_FILTER, as every distribution's own kernel has it."


def _fix_namespaces() -> str:
    return _plain(refusals.why(private_host()[1] or refusals.Failure("unshare", 1))[1])


def _fix_tun() -> str:
    failures = try_two_hosts()[1] or [refusals.Failure("tun", 2)]
    return _plain(refusals.explain_wire(failures)[1])


def _plain(fix: str) -> str:
    if "socklab doctor" not in fix:
        return fix
    return "A security module or sandbox forbids it: `dmesg | tail` may name it. Run socklab outside of it."


def _fix_terminal() -> str:
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return "Start socklab in a terminal, without a pipe; or use --plain."
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "export TERM=xterm-256color"
    return "Make the window larger, or its font smaller."


FIXES: dict[str, Callable[[], str]] = {
    "kernel": _fix_kernel,
    "ptrace": _fix_ptrace,
    "yama": _fix_yama,
    "syscall-info": _fix_ptrace,
    "memory": _fix_ptrace,
    "seccomp": _fix_seccomp,
    "namespaces": _fix_namespaces,
    "tun": _fix_tun,
    "sock_diag": lambda: _sudo("modprobe -a inet_diag tcp_diag"),
    "compiler": lambda: install({"": "gcc", "apt": "gcc libc6-dev", "apk": "gcc musl-dev"}),
    "curl": lambda: install({"": "curl"}),
    "terminal": _fix_terminal,
    "utf8": lambda: "export LC_ALL=C.UTF-8",
}
