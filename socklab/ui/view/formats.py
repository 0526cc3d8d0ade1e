"""Small words all panels share: addresses, numbers and marks, in as many cells as there are.

In: values of LabState. Out: safe text and Spans. Never looks at a panel's own business.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TypeVar

from socklab import state as st
from socklab.core.persistent import PMap
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.syscalls import tables
from socklab.ui.view.lines import Line, Span, View, clip_words, wrap

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

MARKS = {"changed": "*", "new": "+", "gone": "-", "": " "}
"""The sign beside a row that the last call changed: never by colour alone."""

NO_ADDRESS = ("0.0.0.0:0", "[::]:0", "*:0", "")

_LOOPBACK = ("127.0.0.1", "[::1]")


def change_of(changed: Mapping[K, T | None], key: K, now: T | None) -> str:
    """What the last call did to a row: "changed", "new", "gone", "". `changed`: the rows it touched, as they were."""
    if key not in changed or changed[key] == now:
        return ""
    return "gone" if now is None else "new" if changed[key] is None else "changed"


def arch(state: st.LabState) -> str:
    """The architecture of the machine the stream was made on."""
    return state.header.arch if state.header is not None else "x86_64"


def failed(result: int) -> bool:
    """The result of a call is -errno."""
    return -4096 < result < 0


def marker(change: str) -> Span:
    """One cell: what happened to the row since the program last ran (changed, new, gone or "")."""
    return MARKS[change], change


def chosen(line: Line, mark: str = "▸") -> Line:
    """The row as a chosen one, with `mark` in its first cell."""
    return ((mark, "current"), *((text, f"current {role}") for text, role in line[1:]))


def fit(lines: Iterable[Line], view: View) -> list[Line]:
    """No line longer than the panel is wide."""
    return [clip_words(line, view.width) for line in lines]


def words(text: str, view: View, role: str = "dim", indent: int = 0) -> list[Line]:
    """A sentence or two, wrapped to the panel."""
    return wrap(((text, role),), view.width, indent)


def count(number: int) -> str:
    """5120 as 5,120."""
    return f"{number:,}"


def brief(number: int, cells: int) -> str:
    """A number in at most `cells` (4 or more): exact while it fits, then with K, M or G, rounded down."""
    exact = str(number)
    if len(exact) <= cells:
        return exact
    for power, unit in enumerate("KMGTPE", 1):
        size = 1000**power
        whole = number // size
        if len(str(whole)) < cells:
            tenths = number // (size // 10) % 10
            wide = f"{whole}.{tenths}{unit}"
            return wide if len(wide) <= cells else f"{whole}{unit}"
    return "∞"[:cells]


def size(number: int) -> str:
    """Bytes of memory: 1376256 as "1.3 MiB"."""
    if number < 1024:
        return f"{number} B"
    value, unit = number / 1024, "KiB"
    for larger in ("MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if value >= 10 else f"{value:.1f} {unit}"


def plural(number: int, one: str, many: str = "") -> str:
    """ "1 byte", "2 bytes", "5,120 bytes"."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def address(text: str, cells: int, *, ports: bool = False) -> str:
    """An address in at most `cells`. `ports`: the host is obvious, the port is enough.

    When it does not fit the port stays and the host loses its beginning: "…0.1:8080".
    """
    shown = safe(text)
    if text in NO_ADDRESS:
        return "*"
    host, _, port = shown.rpartition(":")
    if ports and host:
        shown = f":{port}"
    if len(shown) <= cells:
        return shown
    return "…" + shown[len(shown) - cells + 1 :] if cells > 1 else shown[:cells]


def obvious(state: st.LabState, *texts: str) -> bool:
    """Whether the hosts of these addresses go without saying: loopback, or the only address of each lab host."""
    hosts = state.header.hosts if state.header else ()
    known = {*_LOOPBACK, *(known for host in hosts for known in host.addresses)}
    return all(_host_of(text) in known or text in NO_ADDRESS for text in texts)


def _host_of(text: str) -> str:
    """The host of an address; of an IPv4 address that IPv6 writes as [::ffff:10.0.0.1], the IPv4 one."""
    host = text.rpartition(":")[0]
    return host[8:-1] if host.startswith("[::ffff:") and host.endswith("]") else host


def call_name(state: st.LabState, nr: int) -> str:
    """Name of a syscall on the machine the stream was made on."""
    return tables.name(arch(state), nr)


def sleeps_in(row: ev.ProcessRow | None) -> str:
    """Kernel function a task sleeps in, "" when that is not known. What the compiler hung on its name (.constprop.0)
    is left out."""
    return "" if row is None or row.waits_in == "0" else safe(row.waits_in.partition(".")[0])


def server_host(state: st.LabState) -> str:
    """The host the traced program runs on."""
    return state.started.host if state.started else ""


def descriptors_of(state: st.LabState, pid: int) -> PMap[int, ev.Descriptor]:
    """The process's descriptor table; empty when none was read."""
    return state.descriptors.get(pid, _NO_DESCRIPTORS)


_NO_DESCRIPTORS: PMap[int, ev.Descriptor] = PMap()


def table_name(state: st.LabState, host: str) -> str:
    """The host under whose name a host's sockets and counters are listed."""
    for known in state.header.hosts if state.header else ():
        if known.name == host and known.shares_table_with:
            return known.shares_table_with
    return host


def error_words(errno: int) -> tuple[str, str]:
    """("ECONNREFUSED", "Connection refused") of 111."""
    from socklab.syscalls.errors import errno_name, errno_words

    return errno_name(errno), errno_words(errno)
