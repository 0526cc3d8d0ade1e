"""The kinds of arguments a command may have: a client's name, a text, a number, which packets, a stop condition ...

In: the words behind a verb. Out: the fields they stand for, or a UsageError that says what is expected; and, for a
line half typed, the words that may come next. Pure: knows no command, asks nothing of a lab.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from socklab.commands.packet_filter import HOSTS
from socklab.core.errors import UsageError
from socklab.core.suggest import nearest
from socklab.core.text import safe

MOST_CLIENTS = 20_000
"""The largest count one `connect` may ask for."""

# Compiled when first needed: a screen that starts has no use for them.
CLIENT_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,15}"
_SETTING = r"[a-z0-9_]+([./][A-Za-z0-9_-]+)*"
_ESCAPE = r"(?s)\\(x[0-9A-Fa-f]{2}|.)"
_ESCAPES = {"r": b"\r", "n": b"\n", "t": b"\t", "0": b"\0", '"': b'"', "\\": b"\\"}

_SETTINGS = (
    "net.ipv4.tcp_syncookies", "net.ipv4.tcp_abort_on_overflow", "net.ipv4.tcp_max_syn_backlog", "net.core.somaxconn",
    "net.ipv4.tcp_synack_retries", "net.ipv4.tcp_syn_retries", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_rmem",
)  # fmt: skip
"""What is set most; any other can be."""


class Reader:
    """What stands behind a verb, read from left to right. `expected` is said with every refusal."""

    def __init__(self, verb: str, text: str, expected: str, names: Collection[str] = ()) -> None:
        self.verb = verb
        self.text = text.strip()
        """What is left."""
        self.names = names
        """The clients there are."""
        self._expected = expected

    def peek(self) -> str:
        """The next word, or ""."""
        return self.text.split(None, 1)[0] if self.text else ""

    def take(self) -> str:
        """The next word, which is gone then."""
        word = self.peek()
        self.text = self.text[len(word) :].lstrip()
        return word

    def wrong(self, why: str, word: str = "", known: Iterable[str] = ()) -> UsageError:
        """The refusal, with the known word that `word` was probably meant to be."""
        near = nearest(word, known) if word else ""
        hint = f"Did you mean {near}? " if near else ""
        end = "" if why.endswith("?") else "."
        return UsageError(f"{self.verb}: {why}{end}", fix=hint + self._expected)


class Known(NamedTuple):
    """What there is in the lab, for completion."""

    clients: Iterable[str] = ()
    fds: Iterable[int] = ()


class Argument(msgspec.Struct, frozen=True):
    """One argument of a command."""

    usage: str
    """As the usage line shows it; in brackets: it may be left out."""
    read: Callable[[Reader], dict[str, Any]]
    """Takes its words and gives the fields they stand for. Raises UsageError."""
    offers: Callable[[Sequence[str], str, Known], Iterable[str]] = lambda before, last, known: ()
    """What the last word of a half-typed line may become, after the words `before` it."""
    too_many: str = ""
    """Said of words that are left over behind it."""


def first_word(*words: str) -> Callable[[Sequence[str], str, Known], Iterable[str]]:
    """Offers for an argument that is the first word or none."""
    return lambda before, last, known: () if before else [f"{word} " for word in words]


# ---------------------------------------------------------------- clients


def _client_name(line: Reader, word: str) -> str:
    if word and not re.fullmatch(CLIENT_NAME, word):
        raise line.wrong(f'"{safe(word)}" is no client name (a letter, then letters and digits)')
    return word


def _client(line: Reader) -> dict[str, Any]:
    name = line.peek().partition('"')[0]
    line.text = line.text[len(name) :].lstrip()
    return {"name": _client_name(line, name)}


def _clients(line: Reader) -> dict[str, Any]:
    words, line.text = line.text.split(), ""
    if len(words) == 1 and words[0].isdecimal():
        count = int(words[0][:9])
        if not 1 <= count <= MOST_CLIENTS:
            raise line.wrong(f"{words[0]} clients; 1 to {MOST_CLIENTS} can be asked for at once")
        return {"count": count}
    names = tuple(_client_name(line, word) for word in words)
    if len(set(names)) != len(names):
        raise line.wrong("a name is given twice")
    return {"names": names}


def _accept(line: Reader) -> dict[str, Any]:
    word = line.take().lower()
    if word in ("", "stop"):
        return {"argument": word}
    if word != "every":
        raise line.wrong(f'no "{safe(word)}"', word, ("every", "stop"))
    number = line.take()
    if not re.fullmatch(r"\d{1,4}(\.\d{1,3})?", number) or not 0.1 <= float(number) <= 3600:
        raise line.wrong("every how many seconds? 0.1 to 3600")
    return {"argument": f"every {number}"}


ACCEPT = Argument("[every SECONDS | stop]", _accept, first_word("every", "stop"))
CLIENT = Argument(
    "[NAME]", _client, lambda before, last, known: () if before else [f"{name} " for name in known.clients],
    "one client at a time",
)  # fmt: skip
CLIENTS = Argument("[HOW MANY | NAME ...]", _clients)


# ---------------------------------------------------------------- text


def _quoted(line: Reader) -> dict[str, Any]:
    before, quote, quoted = line.text.partition('"')
    if not quote:
        raise line.wrong("the text to send goes in double quotes")
    if before:
        raise line.wrong("one client at a time")
    line.text = ""
    return {"data": _unescaped(line, quoted)}


def _unescaped(line: Reader, quoted: str) -> bytes:
    """The bytes of a quoted text, from after its opening quote to its closing one, which must end the line."""
    escape_at = re.compile(_ESCAPE).match
    data = b""
    position = 0
    while True:
        escape = escape_at(quoted, position)
        if escape:
            word = escape[1]
            if word not in _ESCAPES and len(word) != 3:
                raise line.wrong(rf"\{safe(word)} is no escape; there are \r \n \t \0 \xNN \" \\")
            data += _ESCAPES.get(word) or bytes([int(word[1:], 16)])
            position = escape.end()
        elif position >= len(quoted):
            raise line.wrong("the closing double quote is missing")
        elif quoted[position] == '"':
            if quoted[position + 1 :].strip():
                raise line.wrong("words after the closing quote")
            return data
        else:
            data += quoted[position].encode("utf-8", "surrogateescape")
            position += 1


def _input(line: Reader) -> dict[str, Any]:
    if line.text.startswith('"'):
        return _quoted(line)
    data, line.text = line.text.encode("utf-8", "surrogateescape") + b"\n", ""
    return {"data": data}


def rest(usage: str, missing: str = "", offers: Iterable[str] = ()) -> Argument:
    """All that is left of the line. `missing`: said where there is nothing; `offers`: what its first word may be."""

    def read(line: Reader) -> dict[str, Any]:
        text, line.text = line.text, ""
        if missing and not text:
            raise line.wrong(missing)
        return {"argument": text}

    return Argument(usage, read, first_word(*offers))


TEXT = Argument('"TEXT"', _quoted)
INPUT = Argument('LINE | "BYTES"', _input)


# ---------------------------------------------------------------- hosts, programs, settings, tasks


def host(default: str) -> Argument:
    """`@server` in front names the host; without it `default`."""

    def read(line: Reader) -> dict[str, Any]:
        if not line.text.startswith("@"):
            return {"host": default}
        name = line.take()[1:]
        if name not in HOSTS:
            raise line.wrong(f'no host "{safe(name)}"; there are {" and ".join(HOSTS)}')
        return {"host": name}

    return Argument("[@HOST]", read, first_word(*(f"@{name}" for name in HOSTS)))


def _program(line: Reader) -> dict[str, Any]:
    import shlex  # only a typed command needs it

    try:
        argv, line.text = tuple(shlex.split(line.text)), ""
    except ValueError as error:
        raise line.wrong(f"{str(error).lower()}") from None
    if not argv:
        raise line.wrong("no command")
    return {"argv": argv}


def _setting(line: Reader) -> dict[str, Any]:
    name, *values = line.text.split() or [""]
    if not re.fullmatch(_SETTING, name):
        raise line.wrong("the setting's name is missing, such as net.ipv4.tcp_syncookies, or tcp_syncookies")
    line.text = ""
    # Settings such as net.ipv4.tcp_rmem hold several numbers.
    return {"name": name.replace("/", "."), "value": " ".join(values)}


def _pid(line: Reader) -> dict[str, Any]:
    word = line.take()
    if not word.isdecimal():
        raise line.wrong("the number of a process or thread is missing")
    return {"tid": int(word[:9])}


def _setting_names(last: str) -> list[str]:
    """In full, or without what stands before the last dot, as it may be typed too."""
    names = _SETTINGS if "net.".startswith(last[:4]) else (name.rpartition(".")[2] for name in _SETTINGS)
    return [f"{name} " for name in names]


PROGRAM = Argument("COMMAND ...", _program)
SETTING = Argument(
    "SETTING [VALUE]", _setting,
    lambda before, last, known: () if [word for word in before if word[0] != "@"] else _setting_names(last),
)  # fmt: skip
PID = Argument("PID", _pid)


def _step(line: Reader) -> dict[str, Any]:
    word = line.take() if line.text else ""
    if word and not word.isdecimal():
        raise line.wrong("the number of a step of the lesson")
    return {"argument": word[:6]}


STEP = Argument("[STEP]", _step)


def choice(field: str, *words: str, usage: str = "", default: str = "", value: Callable[[str], Any] = str) -> Argument:
    """One of these words, "" = or none. `value`: what the field gets of it."""

    def read(line: Reader) -> dict[str, Any]:
        word = line.take().lower() or default
        if word not in words:
            raise line.wrong(f'no "{safe(word)}"' if word else "which one?", word, [*filter(None, words)])
        return {field: value(word)}

    return Argument(usage or " | ".join(words), read, first_word(*filter(None, words)))


# ---------------------------------------------------------------- stop conditions


def _condition(line: Reader) -> dict[str, Any]:
    text, line.text = line.text, ""
    if text and text != "step":
        from socklab.commands import conditions  # needs the tables of system calls

        conditions.parse(text)
    return {"until": text}


def _condition_words(before: Sequence[str], last: str, known: Known) -> Iterable[str]:
    from socklab.commands import conditions

    return conditions.offers(before, last, known.fds)


CONDITION = Argument("[CONDITION]", _condition, _condition_words)
