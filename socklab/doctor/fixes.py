"""The exact fix for what a machine refuses, in the words of that machine.

In: a finding's code; the machine's switches, read now. Out: a line to type or to do. Tries nothing new, changes
nothing.
"""

from __future__ import annotations

import os
import platform
import re
import sys

from socklab.arch import MACHINES
from socklab.core.text import safe
from socklab.doctor.checks import KERNEL_NEEDED, kernel_version, private_host, try_two_hosts
from socklab.engine.network import refusals
from socklab.host.processes import read_status, read_switch


def sudo(command: str) -> str:
    return command if os.geteuid() == 0 else f"sudo {command}"


_INSTALL = {
    "apt install": ("debian", "ubuntu"),
    "dnf install": ("fedora", "rhel", "centos"),
    "pacman -S": ("arch",),
    "apk add": ("alpine",),
    "zypper install": ("suse",),
}


def install(packages: dict[str, str]) -> str:
    """The command that installs a package here. `packages`: by apt, dnf, pacman, apk, zypper; "" = the usual name."""
    words = re.findall(r'^ID(?:_LIKE)?="?([^"\n]*)', read_switch("/etc/os-release"), re.MULTILINE)
    everywhere = {command: sudo(f"{command} {packages.get(command.split()[0], packages[''])}") for command in _INSTALL}
    for word in " ".join(words).split():
        for command, systems in _INSTALL.items():
            if word in systems:
                return everywhere[command]
    return "One of: " + "; ".join(everywhere[command] for command in sorted(_INSTALL))


def fix_kernel() -> str:
    if platform.machine() not in MACHINES:
        return f"socklab knows the syscalls of {' and '.join(MACHINES)}; run it on one of these."
    if "microsoft" in platform.release().lower():
        return "This is WSL 1. In PowerShell: wsl --set-version <distribution> 2"
    return "Linux 5.3 or later is needed: update the system, or run socklab in a virtual machine."


def fix_yama() -> str:
    if read_switch("/proc/sys/kernel/yama/ptrace_scope") == "3":
        return "Put kernel.yama.ptrace_scope=1 into /etc/sysctl.d/10-ptrace.conf and boot again."
    return sudo("sysctl -w kernel.yama.ptrace_scope=1")


def _tracer() -> str:
    """Who traces this very process: "strace (pid 812)", or "". A process has one tracer (ptrace(2)), its child too."""
    tracer = read_status(os.getpid()).get("TracerPid", "0")
    return "" if tracer == "0" else f"{read_status(int(tracer)).get('Name', 'gone')} (pid {tracer})"


def fix_memory() -> str:
    return fix_ptrace() if os.path.exists("/proc/self") else sudo("mount -t proc proc /proc")


def fix_ptrace() -> str:
    tracer = _tracer()
    if tracer:
        return f"{safe(tracer)} is tracing socklab itself, and a program can have one tracer: start socklab without it."
    if read_switch("/proc/sys/kernel/yama/ptrace_scope") in ("2", "3"):
        return fix_yama()
    if kernel_version() < KERNEL_NEEDED:
        return fix_kernel()
    container = refusals.in_container()
    if container:
        engine = container if container in ("docker", "podman") else "docker"
        return f"Start the container with: {engine} run --cap-add=SYS_PTRACE --security-opt seccomp=unconfined ..."
    return (
        "A sandbox or security module forbids tracing (SELinux: `sudo setsebool -P deny_ptrace off`); "
        "run socklab outside of it, or in a virtual machine."
    )


def fix_calls() -> str:
    if refusals.in_container():
        return fix_ptrace()
    return "A sandbox's filter or `ulimit -u`, `ulimit -n` forbids it: run socklab outside of it, or raise the limit."


def fix_seccomp() -> str:
    if refusals.in_container():
        return fix_ptrace()
    return "Use a kernel with CONFIG_SECCOMP_FILTER, as every distribution's own kernel has it."


def fix_namespaces() -> str:
    return _plain(refusals.why(private_host()[1] or refusals.Failure("unshare", 1))[1])


def fix_tun() -> str:
    failures = try_two_hosts()[1] or [refusals.Failure("tun", 2)]
    return _plain(refusals.explain_wire(failures)[1])


def _plain(fix: str) -> str:
    if "socklab doctor" not in fix:
        return fix
    return "A security module or sandbox forbids it: `dmesg | tail` may name it. Run socklab outside of it."


def fix_terminal() -> str:
    if not (sys.stdout.isatty() and sys.stdin.isatty()):
        return "Start socklab in a terminal, without a pipe; or use --plain."
    if os.environ.get("TERM", "") in ("", "dumb"):
        return "export TERM=xterm-256color"
    return "Make the window larger, or its font smaller."
