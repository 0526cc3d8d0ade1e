"""Private networks on this machine's kernel, as root and as an ordinary user."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from socklab.core.errors import MachineError, UsageError
from socklab.engine.network import configure, netns, ports, refusals, sniffer, sysctl, topology
from socklab.packets import decode
from socklab.protocol.events import Packet
from tests.support.children import NOBODY, in_child

pytestmark = pytest.mark.kernel

LOADED = (sniffer,)
"""Imported while this process may still read it: a child that is another user may not."""

USERS = [pytest.param(None, id="as-this-user")]
if os.geteuid() == 0:
    USERS.append(pytest.param(NOBODY, id="as-nobody"))


def _private() -> topology.Topology:
    made = topology.create("private")
    assert made.network == "private", made.notices
    return made


@pytest.fixture(scope="module", autouse=True)
def _namespaces_allowed() -> None:
    failure = in_child(
        lambda: refusals.try_in_child(
            lambda: configure.leave_machine(netns.CLONE_NEWUSER | netns.CLONE_NEWNET | netns.CLONE_NEWNS)
        )
    )
    if failure is not None:
        pytest.skip(f"this machine refuses private networks: {failure}")


def _output(*argv: str) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("user", USERS)
def test_names_resolve_for_every_program_of_a_private_network(user: int | None) -> None:
    def act() -> tuple[str, str, str]:
        _private()
        return (
            _output("getent", "ahostsv4", "server"),
            _output("getent", "hosts", "client"),
            _output("getent", "hosts", "server6"),
        )

    server, client, server6 = in_child(act, user=user)
    assert server.split()[0] == "10.0.0.1"
    assert client.split() == ["10.0.0.2", "client"]
    assert server6.split() == ["fd00::1", "server6"]


def test_the_machines_own_names_still_resolve_in_a_private_network() -> None:
    def act() -> str:
        _private()
        return _output("getent", "ahostsv4", "localhost")

    assert in_child(act).split()[0] == "127.0.0.1"


@pytest.mark.parametrize("user", USERS)
def test_anyone_binds_port_80_of_a_private_network(user: int | None) -> None:
    def act() -> tuple[str, int]:
        made = _private()
        with socket.socket() as listener:
            listener.bind((made.address("server"), 80))
            return listener.getsockname()

    assert in_child(act, user=user) == ("10.0.0.1", 80)


@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_to_the_server_comes_from_the_clients_address(family: int) -> None:
    def act() -> tuple[str, str]:
        made = _private()
        if family == 6 and len(made.hosts[0].addresses) == 1:
            return "", ""
        kind = socket.AF_INET6 if family == 6 else socket.AF_INET
        with socket.socket(kind) as listener, socket.socket(kind) as client:
            listener.bind((made.address("server", family), 8080))
            listener.listen()
            client.connect(listener.getsockname()[:2])
            return listener.accept()[1][0], made.address("client", family)

    seen, wanted = in_child(act)
    if not wanted:
        pytest.skip("this kernel has IPv6 switched off")
    assert seen == wanted


@pytest.mark.parametrize("user", USERS)
def test_a_setting_of_a_private_network_leaves_the_machines_alone(user: int | None) -> None:
    machine = sysctl.read_shown()

    def act() -> tuple[tuple[str, str], str]:
        made = _private()
        before = made.read_setting("server", "net.core.somaxconn")[1]
        after = made.write_setting("server", "somaxconn", str(int(before) + 7))
        assert made.settings("client")["net.core.somaxconn"] == after[1]
        return after, before

    (name, after), before = in_child(act, user=user)
    assert name == "net.core.somaxconn"
    assert int(after) == int(before) + 7
    assert sysctl.read_shown() == machine


def test_an_unknown_setting_names_the_nearest_and_a_bad_value_says_so() -> None:
    def act() -> tuple[str, str]:
        made = _private()
        with pytest.raises(UsageError) as unknown:
            made.read_setting("server", "tcp_syncooky")
        with pytest.raises(UsageError) as bad:
            made.write_setting("server", "tcp_syncookies", "many")
        return unknown.value.fix, bad.value.what

    fix, what = in_child(act)
    assert "tcp_syncookies" in fix
    assert what == "net.ipv4.tcp_syncookies does not take 'many' (it is '1')."


@pytest.mark.parametrize("name", ["kernel.hostname", "../kernel/hostname", "net.../kernel.hostname", "net", ""])
def test_no_setting_outside_the_network_can_be_named(name: str) -> None:
    with pytest.raises(UsageError):
        sysctl.find(name)


def test_the_machines_interfaces_mounts_and_hosts_file_are_untouched() -> None:
    def facts() -> tuple[object, ...]:
        return (
            Path("/proc/net/dev").read_text().count(":"),
            os.readlink("/proc/self/ns/net"),
            Path("/etc/hosts").read_text(),
            Path("/proc/self/mountinfo").read_text(),
        )

    def act() -> tuple[object, object]:
        _private()  # a machine of our own: nobody else mounts or makes interfaces here meanwhile
        before = facts()
        in_child(lambda: _private().network)
        return facts(), before

    after, before = in_child(act)
    assert after == before


def test_a_private_network_leaves_no_file_behind(tmp_path: Path) -> None:
    in_child(lambda: topology.create("private", run_dir=str(tmp_path)).network)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("user", USERS)
def test_the_packets_of_a_private_host_are_seen_each_once_and_by_name(user: int | None) -> None:
    def act() -> list[tuple[str, str, str]]:
        made = _private()
        sniffer = made.sniff()
        sniffer.start_ns = time.monotonic_ns()
        with socket.socket() as listener, socket.socket() as client:
            listener.bind((made.address("server"), 8080))
            listener.listen()
            client.connect(listener.getsockname())
            client.sendall(bytes(30_000))
        seen = [event for event in sniffer.read() if isinstance(event, Packet)]
        assert all(0 < event.t < 30_000_000_000 for event in seen)
        assert seen == sorted(seen, key=lambda event: event.t)
        sniffer.close()
        return [(p.source, p.destination, decode.decode(p.data, p.length).summary) for p in seen]

    seen = in_child(act, user=user)
    assert seen[:3] == [("client", "server", "SYN"), ("server", "client", "SYN-ACK"), ("client", "server", "ACK")]
    assert sum(summary == "SYN" for _, _, summary in seen) == 1


def test_the_machines_own_packets_are_not_looked_at() -> None:
    with pytest.raises(MachineError):
        topology.create("machine").sniff()


# ---------------------------------------------------------------- refused


def _fallback(run: Callable[[], object] = lambda: None) -> tuple[str, list[tuple[str, str, str]], bool, str]:
    """What create gives, whether the process is still on the machine's network, and a fetch through it."""
    run()
    before = os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/mnt")
    made = topology.create("auto")
    after = os.readlink("/proc/self/ns/net"), os.readlink("/proc/self/ns/user"), os.readlink("/proc/self/ns/mnt")
    with socket.socket() as listener, socket.socket() as client:
        listener.bind((made.address("server"), 0))
        listener.listen()
        client.connect(listener.getsockname())
    return made.network, made.notices, before == after, made.address("server")


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("syscall", ["unshare", "mount"])
def test_the_machines_network_is_taken_whole_when_the_kernel_refuses(user: int | None, syscall: str) -> None:
    # Refusing mount stands for AppArmor's way: unshare succeeds, what it should allow does not.
    network, notices, unchanged, address = in_child(_fallback, user=user, refuse=(syscall,), number=errno.EPERM)
    assert network == "machine"
    assert unchanged
    assert address == "127.0.0.1"
    [(level, text, fix)] = notices
    assert level == "warning"
    assert "private network" in text
    assert fix


def test_a_user_namespace_limit_of_zero_is_named_with_its_fix() -> None:
    def limited() -> None:
        uid, gid = os.geteuid(), os.getegid()
        netns.unshare(netns.CLONE_NEWUSER)
        netns.map_to_self(uid, gid)
        Path("/proc/sys/user/max_user_namespaces").write_text("0")
        Path("/proc/sys/user/max_net_namespaces").write_text("0")

    def act() -> tuple[str, list[tuple[str, str, str]]]:
        limited()
        made = topology.create("private")
        return made.network, made.notices

    network, [(_, text, fix)] = in_child(act)
    assert network == "machine"
    assert "user.max_user_namespaces is 0" in text
    assert "sysctl -w user.max_user_namespaces=15000" in fix


def test_a_process_with_threads_keeps_the_machines_network_and_is_told_so() -> None:
    def act() -> tuple[str, str]:
        ended = threading.Event()
        thread = threading.Thread(target=ended.wait)
        thread.start()
        made = topology.create("private")
        ended.set()
        thread.join()
        return made.network, made.notices[0][1]

    if os.geteuid() == 0:
        # A privileged process needs no user namespace, and the kernel minds threads only for those.
        network, text = in_child(act, user=NOBODY)
    else:
        network, text = in_child(act)
    assert network == "machine"
    assert "threads" in text


def test_names_become_addresses_in_words_when_the_hosts_file_cannot_be_covered() -> None:
    def act() -> tuple[bool, tuple[str, ...], list[tuple[str, str, str]]]:
        made = topology.create("private", run_dir="/nonexistent")
        return made.names_resolve, made.resolve_words(["curl", "http://server:8080/"]), made.notices

    resolve, words, [(level, text, _)] = in_child(act)
    assert not resolve
    assert words == ("curl", "http://10.0.0.1:8080/")
    assert level == "info"
    assert "/etc/hosts" in text


# ---------------------------------------------------------------- the machine's own network


def test_a_taken_port_is_named_with_its_holder_and_another_is_found() -> None:
    made = topology.create("machine")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        port, why = made.free_port(taken)
        assert port != taken
        assert f"port {taken} is taken by" in why
        assert f"(pid {os.getpid()})" in why
        assert made.resolve_words(["nc", "server", str(taken)]) == ("nc", "127.0.0.1", str(port))
        assert made.resolve_words([f"http://server:{taken}/"]) == (f"http://127.0.0.1:{port}/",)
    with socket.socket() as server:
        server.bind(("0.0.0.0", port))


def test_a_free_port_is_kept() -> None:
    made = topology.create("machine")
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        free = other.getsockname()[1]
    assert made.free_port(free) == (free, "")


def test_settings_of_the_machine_are_read_but_never_written() -> None:
    made = topology.create("machine")
    name, value = made.read_setting("server", "somaxconn")
    with pytest.raises(MachineError, match="whole machine"):
        made.write_setting("server", name, value)


def test_two_labs_at_once_are_given_two_ports() -> None:
    with socket.socket() as probe:
        probe.bind(("", 0))
        free = int(probe.getsockname()[1])
    first, _ = ports.find(free)
    second, why = ports.find(free)
    assert first == free
    assert second != free
    assert why == f"port {free} is taken by another lab"
