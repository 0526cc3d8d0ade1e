"""The verbs of the `:` prompt and of a lesson's `do`: one line of text to one typed action.

In: a line such as `connect 5` or `send a "GET / HTTP/1.0\\r\\n\\r\\n"`. Out: an Action. Never carries anything out:
the engine does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from socklab.core.errors import UsageError
from socklab.core.suggest import suggest
from socklab.core.text import safe


class Connect(msgspec.Struct, frozen=True, tag="connect"):
    """`connect` (one client, next free letter), `connect 5` (five), `connect a b c` (these names)."""

    names: tuple[str, ...] = ()
    """Empty = `count` clients with the next free names: a, b, ... z, then c27, c28 ..."""
    count: int = 1


class Send(msgspec.Struct, frozen=True, tag="send"):
    """`send a "GET / HTTP/1.0\\r\\n\\r\\n"`; `send "hi"` = the newest open client.

    Escapes: \\r \\n \\t \\0 \\xNN \\" \\\\.
    """

    name: str
    data: bytes


class HalfClose(msgspec.Struct, frozen=True, tag="half-close"):
    """`half-close a`: shutdown(SHUT_WR); a FIN goes out, reading goes on."""

    name: str


class Close(msgspec.Struct, frozen=True, tag="close"):
    """`close a`; for a running program of `!`: SIGTERM."""

    name: str


class Reset(msgspec.Struct, frozen=True, tag="reset"):
    """`reset a`: SO_LINGER 0 and close; an RST goes out. A running program of `!` gets SIGKILL."""

    name: str


class StopReading(msgspec.Struct, frozen=True, tag="stop-reading"):
    """`stop-reading a`: what comes stays in the kernel's receive queue."""

    name: str


class Read(msgspec.Struct, frozen=True, tag="read"):
    """`read a`: reads what has come, and all that comes from now on."""

    name: str


class Run(msgspec.Struct, frozen=True, tag="run"):
    """`! curl -s http://server:8080/`: a real program where clients live; `! @server ss -ltn` on the server's host."""

    argv: tuple[str, ...]
    host: str = "client"


class Set(msgspec.Struct, frozen=True, tag="set"):
    """`set net.ipv4.tcp_syncookies 0`: a kernel setting of the lab's own hosts; `set NAME` shows it."""

    name: str
    value: str = ""
    host: str = "server"


class Wire(msgspec.Struct, frozen=True, tag="wire"):
    """A wire verb: hold, deliver, drop, delay, loss, reorder, release, with its words."""

    verb: str
    words: tuple[str, ...] = ()


Action: TypeAlias = Connect | Send | HalfClose | Close | Reset | StopReading | Read | Run | Set | Wire


VERBS: dict[str, str] = {
    "connect": "connect [HOW MANY | NAME ...]",
    "send": 'send [NAME] "TEXT"',
    "half-close": "half-close [NAME]",
    "close": "close [NAME]",
    "reset": "reset [NAME]",
    "stop-reading": "stop-reading [NAME]",
    "read": "read [NAME]",
    "!": "! [@HOST] COMMAND ...",
    "set": "set [@HOST] SETTING [VALUE]",
    "hold": "hold [WHICH PACKETS]",
    "deliver": "deliver [HOW MANY | WHICH PACKETS]",
    "drop": "drop [HOW MANY | WHICH PACKETS]",
    "delay": "delay MILLISECONDS [JITTER] [WHICH PACKETS]",
    "loss": "loss PERCENT [SEED] [WHICH PACKETS]",
    "reorder": "reorder [WHICH PACKETS]",
    "release": "release [WHICH RULES]",
}
"""Every verb with the line it expects, as help and errors show it."""

MOST_CLIENTS = 20_000
"""The largest count one `connect` may ask for."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,15}")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", '"': b'"', "\\": b"\\"}


def parse(line: str) -> Action:
    """The action a line stands for. An empty `name` means the newest open client.

    Raises UsageError naming the nearest verb, or what the verb expects.
    """
    text = line.strip()
    if text.startswith("!"):
        return _run(text[1:])
    verb, _, rest = text.partition(" ")
    parser = _PARSERS.get(verb)
    if parser is None:
        what = f'No verb "{safe(verb)}".' if verb else "Nothing to do: the line is empty."
        raise UsageError(what, fix=suggest(verb, VERBS))
    return parser(verb, rest.strip())


def _wrong(verb: str, why: str) -> UsageError:
    return UsageError(f"{verb}: {why}.", fix=f"Expected: {VERBS[verb]}")


def _name(verb: str, word: str) -> str:
    if word and not _NAME.fullmatch(word):
        raise _wrong(verb, f'"{safe(word)}" is no client name (a letter, then letters and digits)')
    return word


def _connect(verb: str, rest: str) -> Connect:
    words = rest.split()
    if len(words) == 1 and words[0].isdecimal():
        count = int(words[0])
        if not 1 <= count <= MOST_CLIENTS:
            raise _wrong(verb, f"{count} clients; 1 to {MOST_CLIENTS} can be asked for at once")
        return Connect(count=count)
    names = tuple(_name(verb, word) for word in words)
    if len(set(names)) != len(names):
        raise _wrong(verb, "a name is given twice")
    return Connect(names=names)


def _send(verb: str, rest: str) -> Send:
    name, quote, quoted = rest.partition('"')
    if not quote:
        raise _wrong(verb, "the text to send goes in double quotes")
    if len(name.split()) > 1:
        raise _wrong(verb, "one client at a time")
    return Send(name=_name(verb, name.strip()), data=_unescaped(verb, quoted))


def _unescaped(verb: str, quoted: str) -> bytes:
    """The bytes of a quoted text, from after its opening quote to its closing one, which must end the line."""
    data = b""
    position = 0
    while True:
        escape = _ESCAPE.match(quoted, position)
        if escape:
            word = escape[1]
            if word not in _ESCAPES and not (word[0] == "x" and len(word) == 3):
                raise _wrong(verb, rf"\{safe(word)} is no escape; there are \r \n \t \0 \xNN \" \\")
            data += _ESCAPES.get(word) or bytes([int(word[1:], 16)])
            position = escape.end()
        elif position >= len(quoted):
            raise _wrong(verb, "the closing double quote is missing")
        elif quoted[position] == '"':
            if quoted[position + 1 :].strip():
                raise _wrong(verb, "words after the closing quote")
            return data
        else:
            data += quoted[position].encode("utf-8", "surrogateescape")
            position += 1


def _one_name(kind: type[HalfClose | Close | Reset | StopReading | Read]) -> Callable[[str, str], Action]:
    def parse_name(verb: str, rest: str) -> Action:
        if len(rest.split()) > 1:
            raise _wrong(verb, "one client at a time")
        return kind(name=_name(verb, rest))

    return parse_name


def _host(verb: str, words: list[str], default: str) -> tuple[str, list[str]]:
    """`@server` in front names the host; without it `default`."""
    if not words or not words[0].startswith("@"):
        return default, words
    host = words[0][1:]
    if host not in ("server", "client"):
        raise _wrong(verb, f'no host "{safe(host)}"; there are server and client')
    return host, words[1:]


def _run(rest: str) -> Run:
    import shlex  # only a typed command needs it

    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise _wrong("!", f"{str(error).lower()}") from None
    host, argv = _host("!", words, "client")
    if not argv:
        raise _wrong("!", "no command")
    return Run(argv=tuple(argv), host=host)


def _set(verb: str, rest: str) -> Set:
    host, words = _host(verb, rest.split(), "server")
    if not words or not re.fullmatch(r"[a-z0-9_]+([./][A-Za-z0-9_-]+)*", words[0]):
        raise _wrong(verb, "the setting's name is missing, such as net.ipv4.tcp_syncookies, or tcp_syncookies")
    # Settings such as net.ipv4.tcp_rmem hold several numbers.
    return Set(name=words[0].replace("/", "."), value=" ".join(words[1:]), host=host)


def _wire(verb: str, rest: str) -> Wire:
    from socklab.commands import wire

    wire.parse(verb, rest.split())
    return Wire(verb=verb, words=tuple(rest.split()))


_PARSERS: dict[str, Callable[[str, str], Action]] = {
    "connect": _connect,
    "send": _send,
    "half-close": _one_name(HalfClose),
    "close": _one_name(Close),
    "reset": _one_name(Reset),
    "stop-reading": _one_name(StopReading),
    "read": _one_name(Read),
    "set": _set,
    **dict.fromkeys(("hold", "deliver", "drop", "delay", "loss", "reorder", "release"), _wire),
}
