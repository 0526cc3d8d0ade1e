"""Each row of the descriptors and of the counters: its evidence and its commands say what the row says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from socklab import evidence
from socklab.protocol import commands as cmd, events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.view.lines import Key, View
from tests.kernel.test_evidence import Watcher, fields, pid, serving, told

pytestmark = pytest.mark.kernel

KINDS = """\
import os, signal, socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 5353))
x = socket.socket(socket.AF_UNIX); x.bind("\\0socklab-rows"); x.listen(3)
r, w = os.pipe()
listener = socket.create_server(("", 8080), backlog=4)
if os.fork() == 0:
    signal.pause()
listener.accept()
"""


def page_of(watcher: Watcher, panel: str, key: Key) -> evidence.Page:
    subject = evidence.of(panel, watcher.state, None, key)
    assert isinstance(subject, evidence.Subject), (key, subject)
    assert watcher.ask(cmd.Evidence(subject.wants)).outcome == "done"
    answer = watcher.state.evidence
    assert answer is not None and answer.wants == subject.wants
    return evidence.page(subject, answer, "x86_64")


def value(page: evidence.Page, counter: str) -> int:
    """Of the one block that shows it."""
    (field,) = (field for block in page.blocks for field in block.fields if field.name == counter)
    return int(field.raw)


def rows(watcher: Watcher, panel: str) -> list[Key]:
    return list(registry.panel(panel).choices(watcher.state, View(80, 30)))


def test_each_descriptor_of_each_process_is_read_where_it_is(tmp_path: Path) -> None:
    with serving(tmp_path, KINDS) as watcher:
        keys = rows(watcher, "descriptors")
        assert len({process for process, _ in keys}) == 2
        for process, fd in keys:
            page = page_of(watcher, "descriptors", (process, fd))
            known = watcher.state.descriptors[int(process)][fd]
            link = str(Path(f"/proc/{process}/fd/{fd}").readlink())
            assert told(page, f"/proc/{process}/fd/{fd}") == f"-> {link}" == f"-> {known.target}"
            flags = re.search(r"flags:\s+(\d+)", watcher.run(page, "cat"))
            assert flags and flags[1] == fields(page, "/fdinfo/")["flags"]
            assert re.search(rf" {fd} -> {re.escape(link)}$", watcher.run(page, "ls"), re.M)


def test_the_commands_of_a_socket_print_that_socket_and_no_other(tmp_path: Path) -> None:
    with serving(tmp_path, KINDS) as watcher:
        table = watcher.state.descriptors[pid(watcher)]
        for fd, name, local in ((3, "udp", "127.0.0.1:5353"), (4, "unix", "@socklab-rows"), (7, "", "0.0.0.0:8080")):
            page = page_of(watcher, "descriptors", (str(pid(watcher)), fd))
            (line,) = watcher.run(page, "ss").splitlines()[1:]
            assert local in line.split()
            if name:
                number, _, listed = watcher.run(page, "grep").rstrip("\n").partition(":")
                where = next(block.where for block in page.blocks if f"/net/{name}" in block.where)
                assert where.endswith(f"line {number}") and str(table[fd].inode) in listed.split()


def test_a_tcp_socket_that_is_only_bound_is_not_said_to_have_no_address(tmp_path: Path) -> None:
    source = "import os, signal, socket\nb = socket.socket()\nb.bind(('', 0))\n" + KINDS.partition("\n")[2]
    with serving(tmp_path, source) as watcher:
        behind = watcher.state.descriptors[pid(watcher)][3].behind
        assert behind is not None and behind.local.startswith("0.0.0.0:")
        page = page_of(watcher, "descriptors", (str(pid(watcher)), 3))
        (note,) = [block.note for block in page.blocks if block.note]
        assert "is TCP and neither listens nor connects" in note


def test_each_counter_is_the_one_that_nstat_and_grep_print_on_its_host(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        watcher.ask(cmd.Do("connect 8"))
        counters = [key for key in rows(watcher, "counters") if " " in key[0]]
        assert {key[0].partition(" ")[0] for key in counters} == set(watcher.state.counters)
        for key in counters:
            name = key[0].partition(" ")[2]
            bare = name.rpartition(".")[2]
            before = value(page := page_of(watcher, "counters", key), bare)
            names, values = (line.split() for line in watcher.run(page, "grep").splitlines())
            printed = [int(values[names.index(bare)])]
            if name != "CurrEstab":
                lines = [line.split() for line in watcher.run(page, "nstat").splitlines() if line[:1] != "#"]
                assert [line[0] for line in lines] == [f"{names[0].rstrip(':')}{bare}"]
                printed.append(int(lines[0][1]))
            after = value(page_of(watcher, "counters", key), bare)
            assert all(min(before, after) <= each <= max(before, after) for each in printed), (key, before, printed)


def test_each_setting_is_what_sysctl_prints_on_each_host_and_why_tells_who_set_it(tmp_path: Path) -> None:
    from socklab import why

    with serving(tmp_path) as watcher:
        watcher.ask(cmd.Do("set somaxconn 77"))
        watcher.ask(cmd.Do("set somaxconn nonsense"))
        settings = [key for key in rows(watcher, "counters") if " " not in key[0]]
        assert ("net.core.somaxconn", 0) in settings
        for name, _ in settings:
            page = page_of(watcher, "counters", (name, 0))
            for shell in page.shells:
                assert watcher.ask(cmd.Look(shell.argv, shell.host)).outcome == "done"
                ran = watcher.state.ran
                assert ran is not None and " ".join(ran.out.decode().split()).endswith(
                    f"{name} = {watcher.state.settings[shell.host][name]}"
                )
                path = f"/proc/sys/{name.replace('.', '/')} on {shell.host}"
                assert fields(page, path)[name] == watcher.state.settings[shell.host][name]
        told = "\n".join(why.lines(why.why(watcher.state, why.Subject("counters", "server net.core.somaxconn"))))
        assert "net.core.somaxconn of server is 77" in told and "you: set somaxconn 77" in told


def test_a_setting_that_is_none_and_a_path_that_is_no_setting_are_not_read(tmp_path: Path) -> None:
    with serving(tmp_path) as watcher:
        for name in ("net.nothing", "kernel.hostname", "net/../../etc/passwd", ""):
            assert watcher.ask(cmd.Evidence((ev.Want("setting", "server", name=name),))).outcome == "refused", name
        assert pid(watcher)
