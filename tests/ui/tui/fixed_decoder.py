"""A decoder with fixed wording, so that the call card's pictures change only when the card does.

In: raw calls of panel_support's run. Out: DecodedCalls. The real decoder is checked in its own tests, and with the card
in test_panels.py.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab.protocol import events as ev
from socklab.syscalls.call import DecodedArg, DecodedCall, Field
from tests.ui.tui.panel_support import ACCEPT, BIND, CLOSE, LISTEN, READ, REQUEST, SOCKET, WRITE, sockaddr_in

_PURPOSE = {
    SOCKET: ("socket", "Make a new socket and give the program a descriptor for it.", "new descriptor 3"),
    BIND: ("bind", "Give the socket a local address. Nothing listens there yet.", "the socket has its address"),
    LISTEN: ("listen", "Make the socket a listener: the kernel queues connections for it.", "the socket is listening"),
    ACCEPT: (
        "accept",
        "Take the oldest connection out of the accept queue and give it a descriptor; wait if the queue is empty.",
        "new descriptor 4",
    ),
    READ: ("read", "Take bytes out of the receive queue. Wait if there are none.", "74 bytes received"),
    WRITE: ("write", "Hand bytes to the send queue. Wait if there is no room.", "19 bytes are in the send queue"),
    CLOSE: ("close", "Give the descriptor back.", "the descriptor is free again"),
}
_SIZE = DecodedArg("addrlen", "[16]", "in: room for the address; out: its real size")


def _address(host: str, port: int, meaning: str) -> DecodedArg:
    data = sockaddr_in(host, port)
    fields = (
        Field("sin_family", 0, 2, "AF_INET"),
        Field("sin_port", 2, 2, f"{port}, most significant byte first"),
        Field("sin_addr", 4, 4, host),
        Field("sin_zero", 8, 8, "padding"),
    )
    return DecodedArg("addr", f"{{{host}:{port}}}", meaning, data, fields)


def _arguments(nr: int, returned: bool, what: str) -> tuple[DecodedArg, ...]:
    request = '"GET / HTTP/1.1\\r\\nHost: server:8080\\r\\nUser-Agent: cur"...'
    peer = _address("127.0.0.1", 40001, "loopback, port 40001")
    where = DecodedArg("addr", "0x7ffc00001040", "where the kernel puts the address")
    arguments = {
        SOCKET: (
            DecodedArg("domain", "AF_INET", "IPv4"),
            DecodedArg("type", "SOCK_STREAM", "a reliable stream of bytes (TCP)"),
            DecodedArg("protocol", "0", "the usual one"),
        ),
        BIND: (
            DecodedArg("sockfd", "3", what),
            _address("0.0.0.0", 8080, "every IPv4 address of this host, port 8080"),
            DecodedArg("addrlen", "16", "size of the address in bytes"),
        ),
        LISTEN: (DecodedArg("sockfd", "3", what), DecodedArg("backlog", "4", "how many connections may wait")),
        ACCEPT: (DecodedArg("sockfd", "3", what), peer if returned else where, _SIZE),
        READ: (
            DecodedArg("fd", "4", what),
            DecodedArg("buf", request, "where the bytes go", REQUEST) if returned else where,
            DecodedArg("count", "512", "how many bytes at most"),
        ),
        WRITE: (
            DecodedArg("fd", "4", what),
            DecodedArg("buf", '"HTTP/1.1 200 OK\\r\\n\\r\\n"', "the bytes", b"HTTP/1.1 200 OK\r\n\r\n"),
            DecodedArg("count", "19", "how many bytes"),
        ),
        CLOSE: (DecodedArg("fd", "4", what),),
    }
    return arguments[nr]


def decode(
    arch: str, enter: ev.Enter, returned: ev.Return | None = None, target: Callable[[int], str] | None = None
) -> DecodedCall:
    name, meaning, outcome = _PURPOSE[enter.nr]
    args = _arguments(enter.nr, returned is not None, target(enter.args[0]) if target is not None else "")
    if returned is None:
        return DecodedCall(name, args, meaning=meaning)
    if returned.result < 0:
        return DecodedCall(name, args, "-1 EPIPE", returned.result, "EPIPE", meaning, "nobody reads there any more")
    return DecodedCall(name, args, str(returned.result), returned.result, "", meaning, outcome)
