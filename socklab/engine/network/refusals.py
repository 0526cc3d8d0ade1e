"""Why a machine refuses private networks: tried in a child that leaves nothing behind, explained with the exact fix.

In: a set-up that may be refused. Out: None, or a Failure (the stage and the kernel's errno) and words for it. Never
changes the calling process.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from socklab.engine.network import netns
from socklab.host.processes import read_switch


@dataclass(frozen=True)
class Failure:
    """`stage`: unshare, map, loopback, mounts, addresses, tun, veth ...; `number`: errno."""

    stage: str
    number: int

    def __str__(self) -> str:
        return f"{self.stage}: {os.strerror(self.number)} ({errno.errorcode.get(self.number, self.number)})"


class Refused(Exception):
    """Carries the Failure of one stage out of a set-up."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


@contextmanager
def stage(name: str) -> Iterator[None]:
    """Turn an OSError inside into Refused with the stage's name."""
    try:
        yield
    except OSError as error:
        raise Refused(Failure(name, error.errno or errno.EPERM)) from error


def try_in_child(set_up: Callable[[], object]) -> Failure | None:
    """Run `set_up` in a forked child and let its namespaces go with it. None = it would work here too.

    The caller is single-threaded, so forking is safe. A child that dies without a word counts as EPERM.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        word = b"? 1"
        try:
            set_up()
            word = b"ok"
        except Refused as refused:
            word = f"{refused.failure.stage} {refused.failure.number}".encode()
        except OSError as error:
            word = f"set-up {error.errno}".encode()
        finally:
            os.write(writing, word)
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        word = answer.read()
    os.waitpid(pid, 0)
    if word == b"ok":
        return None
    name, _, number = word.decode().partition(" ")
    return Failure(name or "unshare", int(number or errno.EPERM))


# ---------------------------------------------------------------- in words


_SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1", "{} is 0: user namespaces are for root only"),
    ("user.max_user_namespaces", "0", "15000", "{} is 0: no user namespace may be made"),
    ("user.max_net_namespaces", "0", "15000", "{} is 0: no network namespace may be made"),
    # Ubuntu 23.10 and later: unshare succeeds, but AppArmor takes the capabilities away.
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "1",
        "0",
        "AppArmor ({} is 1) gives a user namespace no capabilities",
    ),
)
"""Kernel settings that refuse namespaces: name, the value that refuses, one that allows, the cause in words."""


def in_container() -> str:
    """docker, podman, ... or "": whose seccomp profile may be the one that refuses."""
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return os.environ.get("container", "")  # noqa: SIM112 - the name systemd-nspawn and podman give it


def _until_next_boot(setting: str) -> str:
    return f"sudo sysctl -w {setting}   (to keep it: put that line's {setting} into /etc/sysctl.d/60-socklab.conf)"


def why(failure: Failure) -> tuple[str, str]:
    """The cause in one clause, and the exact fix. The switches are read now, from this machine."""
    for name, refuses, allows, cause in _SWITCHES:
        if read_switch("/proc/sys/" + name.replace(".", "/")) == refuses:
            return cause.format(name), _until_next_boot(f"{name}={allows}")
    if failure.stage == "unshare" and failure.number == errno.EINVAL and len(os.listdir("/proc/self/task")) > 1:
        return "the engine had threads before it asked for its network", "This is a fault of socklab; please report it."
    if failure.stage == "unshare" and failure.number in (errno.EINVAL, errno.ENOSYS):
        return (
            "this kernel was built without user or network namespaces",
            "Use a kernel with CONFIG_USER_NS, CONFIG_NET_NS.",
        )
    if failure.stage == "unshare" and failure.number in (errno.ENOSPC, errno.EUSERS):
        return (
            "the limit of user.max_user_namespaces or user.max_net_namespaces is reached",
            _until_next_boot("user.max_user_namespaces=15000 user.max_net_namespaces=15000"),
        )
    container = in_container()
    if container:
        engine = container if container in ("docker", "podman") else "docker"
        return (
            f"the container's profile forbids it ({failure})",
            f"Start it with: {engine} run --security-opt seccomp=unconfined --security-opt apparmor=unconfined ...",
        )
    return (
        f"the kernel refused ({failure})",
        "Ask `socklab doctor`; a security module or seccomp profile may be the one.",
    )


def explain(failure: Failure) -> tuple[str, str]:
    """(text, fix) of the notice that there is no private network."""
    cause, fix = why(failure)
    return f"No private network: {cause}. The lab runs on the machine's own network instead.", fix


def explain_wire(failures: list[Failure]) -> tuple[str, str]:
    """(text, fix) of the notice that there are no two hosts and no wire."""
    tun = next((f for f in failures if f.stage == "tun"), None)
    veth = next((f for f in failures if f.stage == "veth"), None)
    if tun is None:
        cause, fix = why(failures[-1])
        return f"No wire between two hosts: {cause}.", fix
    if tun.number == errno.ENOENT:
        cause = f"{netns.TUN_DEVICE} is not here"
        fix = f"sudo modprobe tun; in a container: add --device {netns.TUN_DEVICE}"
    elif tun.number in (errno.EACCES, errno.EPERM):
        cause = f"{netns.TUN_DEVICE} may not be opened by this user"
        fix = f"sudo chmod 666 {netns.TUN_DEVICE}   (the mode most distributions give it)"
    else:
        cause, fix = f"{netns.TUN_DEVICE} is refused ({tun})", "Run `socklab doctor`."
    if veth is not None:
        cause += f", and virtual Ethernet is refused too ({veth})"
    return f"No wire between two hosts: {cause}. The lab runs with one private host, or without.", fix
