"""The network a run plays in: two hosts and a wire, one private host, or the machine's own network.

In: which one is wanted. Out: a `Topology`: hosts with their addresses, names that resolve, kernel settings, and the
reasons why a better one was refused. `create` is called first thing in the engine, while it is single-threaded: the
kernel lets only such a process into a user namespace. Never touches the machine's own interfaces or settings.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from socklab.core.errors import MachineError, SocklabError, UsageError
from socklab.engine.network import configure, netns, refusals, sysctl
from socklab.protocol.events import Host

if TYPE_CHECKING:
    from socklab.engine.network.sniffer import Sniffer
    from socklab.engine.network.wire.wire import Wire

T = TypeVar("T")

KINDS = ("auto", "two-hosts", "private", "machine")
MACHINE_HOSTS = (Host("server", ("127.0.0.1", "::1")), Host("client", ("127.0.0.1", "::1"), "server"))

_NAME = re.compile(
    r"""(?P<before>^|[\s"'=@]|://|/dev/tcp/|(?<=\w):)   # a word, a value, user@, a URL's host, bash's device, tcp:HOST:
        (?P<host>server|client)(?P<six>6?)
        (?P<port>[:/]\d+)?(?=$|[\s"'/?\#;|&)])""",
    re.VERBOSE,
)


class Topology:
    """Where programs of a run live. Made by `create`; `close` gives back everything that outlives the process."""

    def __init__(self, network: str, hosts: tuple[Host, ...], *, names_resolve: bool) -> None:
        self.network = network
        """two-hosts, private or machine."""
        self.hosts = hosts
        self.notices: list[tuple[str, str, str]] = []
        """(level, text, fix): why a better network was refused, and what would allow it."""
        self.names_resolve = names_resolve
        """Programs started here find `server` and `client` by name."""
        self.namespaces: dict[str, int] = {}
        """Host name to network namespace descriptor; empty when both hosts are the process's own."""
        self.wire: Wire | None = None
        """With two hosts: the wire between them."""
        self._moved_ports: dict[int, int] = {}

    # ------------------------------------------------------------ hosts

    def host(self, name: str) -> Host:
        """Raises UsageError for a host that is not there."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise UsageError(f"There is no host {name!r}.", fix="The hosts are server and client.")

    def address(self, host: str, family: int = 4) -> str:
        """The host's IPv4 or IPv6 (family 6) address. Raises MachineError where it has none of that family."""
        for address in self.host(host).addresses:
            if (":" in address) == (family == 6):
                return address
        raise MachineError(f"{host} has no IPv{family} address: this kernel has IPv{family} switched off.")

    def enter(self, host: str) -> None:
        """Put the calling thread into the host's network namespace: sockets it makes from now on are that host's."""
        self.host(host)
        if host in self.namespaces:
            netns.setns(self.namespaces[host])

    def _within(self, host: str, act: Callable[[], T]) -> T:
        """Run `act` as that host. /proc/sys/net shows the settings of the thread that reads it."""
        if self.host(host).name not in self.namespaces:
            return act()
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                self.enter(host)
                done.append(act())
            except (OSError, SocklabError) as error:
                failed.append(error)

        # A thread of its own, so that the caller's namespace is untouched whatever happens.
        thread = threading.Thread(target=run, name=f"as-{host}")
        thread.start()
        thread.join()
        if failed:
            raise failed[0]
        return done[0]

    # ------------------------------------------------------------ kernel settings

    def settings(self, host: str) -> dict[str, str]:
        """The settings lessons speak of, by their full names, as the host has them now."""
        return self._within(host, sysctl.read_shown)

    def read_setting(self, host: str, name: str) -> tuple[str, str]:
        """Full name and value of `net.core.somaxconn`, or of `somaxconn` for short. Raises UsageError for no such."""
        return self._within(host, lambda: sysctl.read(name))

    def setting_text(self, host: str, name: str) -> tuple[str, bytes]:
        """The file of a setting, and what is in it. Raises UsageError for no such, OSError where it can't be read."""
        return self._within(host, lambda: sysctl.text(name))

    def write_setting(self, host: str, name: str, value: str) -> tuple[str, str]:
        """Set it, for this host alone and until the run ends; full name and the value the kernel then holds.

        Raises UsageError for a name or value the kernel does not know, MachineError on the machine's own network.
        """
        if self.network == "machine":
            raise MachineError(
                f"{name} is a setting of this whole machine here; the lab does not change it.",
                fix="Kernel settings can be set where the lab has a private host: run `socklab doctor`.",
            )
        return self._within(host, lambda: sysctl.write(name, value))

    # ------------------------------------------------------------ ports and names

    def free_port(self, preferred: int) -> tuple[int, str]:
        """A TCP port the server can bind, and what stands in the way of the preferred one ("" = it is free).

        Private hosts have every port free. `resolve_words` rewrites the preferred port to the one found.
        """
        if self.network != "machine":
            return preferred, ""
        from socklab.engine.network import ports

        port, why = ports.find(preferred)
        if port != preferred:
            self._moved_ports[preferred] = port
        return port, why

    def resolve_words(self, argv: Sequence[str], ports: Mapping[int, int] | None = None) -> tuple[str, ...]:
        """`argv` with `server` and `client` as addresses where the names do not resolve by themselves.

        Whole words and host parts only: `server`, `server:8080`, `http://server:8080/x`; not `server.c`. A port the
        run had to move (`ports`, and what free_port found) is rewritten too, behind a host or as the word after it.
        """
        moved = {**self._moved_ports, **(ports or {})}
        if self.names_resolve and not moved:
            return tuple(argv)

        def resolved(match: re.Match[str]) -> str:
            host, port = match["host"], match["port"] or ""
            if port:
                number = int(port[1:])
                port = f"{port[0]}{moved.get(number, number)}"
            if self.names_resolve:
                return match["before"] + host + match["six"] + port
            address = self.address(host, 6 if match["six"] else 4)
            in_url = match["six"] and (match["port"] or match["before"].endswith("://"))
            return match["before"] + (f"[{address}]" if in_url else address) + port

        words: list[str] = []
        after_host = False
        for word in argv:
            if after_host and word.isdecimal() and word.isascii():
                words.append(str(moved.get(int(word), int(word))))
            else:
                words.append(_NAME.sub(resolved, word))
            after_host = word in ("server", "client", "server6", "client6")
        return tuple(words)

    # ------------------------------------------------------------ packets without a wire

    def sniff(self) -> Sniffer:
        """The packets of one private host, seen but not held; with two hosts they come from `wire`.

        Raises MachineError on the machine's own network, whose packets are not the lab's to read.
        """
        if self.network != "private":
            raise MachineError(
                f"The lab sees no packets on this network ({self.network}).",
                fix="Packets are seen on a network of the lab's own: run `socklab doctor`.",
            )
        from socklab.engine.network.sniffer import Sniffer

        return Sniffer(self.hosts)

    # ------------------------------------------------------------ the end

    def close(self) -> None:
        """End the wire and let go of the namespaces, which go with their last process. May be called twice."""
        if self.wire is not None:
            self.wire.close()
        for fd in self.namespaces.values():
            with suppress(OSError):  # closed before: nothing is lost
                os.close(fd)
        self.namespaces.clear()


# ---------------------------------------------------------------- making one


def create(wanted: str = "auto", *, run_dir: str = "") -> Topology:
    """The network wanted, or the next best with the reason in `notices`.

    auto: private, else machine. two-hosts: two hosts, else as auto. Call it first thing, while the process is
    single-threaded; afterwards the process lives in the server's namespace. Raises UsageError for an unknown kind.
    """
    if wanted not in KINDS:
        raise UsageError(f"There is no network {wanted!r}.", fix=f"Choose one of {', '.join(KINDS)}.")
    notices: list[tuple[str, str, str]] = []
    made: Topology | None = None
    try:
        failure = _leave_machine() if wanted != "machine" else None
        if failure is not None:
            notices.append(("warning", *refusals.explain(failure)))
        elif wanted != "machine":
            made = _two_hosts(run_dir, notices) if wanted == "two-hosts" else None
            made = made or _with_names("private", configure.lone_host(), run_dir)
    except refusals.Refused as refused:
        # It worked in a child a moment ago; now this process is half in its namespaces and fit for nothing else.
        raise MachineError(f"The private network could not be set up: {refused}.", fix="Start the lab again.") from None
    if made is None:
        made = Topology("machine", MACHINE_HOSTS, names_resolve=False)
    made.notices = notices + made.notices
    return made


def _flag_sets() -> list[int]:
    """Which namespaces to ask for, best first. A privileged engine needs no user namespace of its own."""
    host = netns.CLONE_NEWNET | netns.CLONE_NEWNS
    own_user = host | netns.CLONE_NEWUSER
    return [host, own_user] if os.geteuid() == 0 else [own_user]


def _leave_machine() -> refusals.Failure | None:
    """Put this process into namespaces of its own; why not, if the machine refuses, and nothing has changed then."""
    failure: refusals.Failure | None = None
    for flags in _flag_sets():
        # Tried in a child first: where a security module takes the capabilities away after unshare, this process
        # would be left in a network it can't use.
        failure = refusals.try_in_child(partial(configure.leave_machine, flags))
        if failure is None:
            try:
                configure.leave_machine(flags)
            except refusals.Refused as refused:
                if refused.failure.stage != "unshare":
                    raise
                failure = refused.failure  # nothing has changed: unshare is all or nothing
            else:
                return None
    return failure


def _two_hosts(run_dir: str, notices: list[tuple[str, str, str]]) -> Topology | None:
    from socklab.engine.network import two_hosts
    from socklab.engine.network.wire import wire

    failures: list[refusals.Failure] = []
    for device in two_hosts.DEVICES:
        try:
            laid = two_hosts.lay(device)
        except refusals.Refused as refused:
            failures.append(refused.failure)
            continue
        made = _with_names("two-hosts", laid.hosts, run_dir)
        made.namespaces = laid.namespaces
        made.wire = wire.start(laid.ends)
        return made
    notices.append(("warning", *refusals.explain_wire(failures)))
    return None


def _with_names(network: str, hosts: tuple[Host, ...], run_dir: str) -> Topology:
    """The names, in the mount namespace this process is in now."""
    refused = configure.name_hosts(hosts, run_dir)
    made = Topology(network, hosts, names_resolve=refused is None)
    if refused is not None:
        text = f"The names server and client are known to the lab alone: /etc/hosts cannot be covered ({refused})."
        made.notices.append(("info", text, "In commands typed here they are replaced by their addresses."))
    return made
