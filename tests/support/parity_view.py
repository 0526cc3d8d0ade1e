"""Whether what a user sees of a call says what strace's line says: no fact missing, none made up.

In: a DecodedCall, which is what call card and `--plain` are drawn from (texts, meanings, fields of structs, result),
and the line of strace's spelling. Out: "" or the first argument that differs, and how.

An argument is compared by its facts: numbers in any notation, names of constants, strings by their bytes. A screen may
put them into other words (`{127.0.0.1:80}`, `exited with 3`), so:

  - every fact of strace's argument is found in the argument's text, meaning or fields, and every fact of the text among
    strace's. Bytes that strace shows as a string and socklab takes apart are compared as bytes;
  - of a struct's members, those that are 0 may be left out, and so may what follows from another (DERIVED);
  - WORDS are names that the manual pages spell otherwise than strace;
  - of a string in a struct the first 64 bytes count;
  - OPEN is what socklab shows less of than `strace -v`, each with its reason; docs/run.md lists the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from socklab.syscalls import DecodedArg, DecodedCall, errno_name

OPEN = {
    "envp": "the environment (execve): how many variables it has",
    "TCGETS": "the settings of a terminal (ioctl TCGETS, TCSETS): their address",
    "rusage": "what a child has used (wait4, waitid): its address",
    "netlink": "messages of AF_NETLINK: their bytes",
    "getdents64": "the entries of a directory: those in the first 2048 bytes",
    "io_uring_register": "what a ring is given (io_uring_register): descriptors; anything else by its address",
    "SIGCHLD": "a signal that comes: its name, who sent it, the address of a fault",
}
"""What `strace -v` shows and socklab does not."""

WORDS = {
    **{f"SOL_{each}": f"IPPROTO_{each}" for each in ("IP", "TCP", "UDP", "IPV6")},
    "FASYNC": "O_ASYNC",
    "WIFEXITED": "exited",
    "WIFSTOPPED": "stopped",
    "WIFCONTINUED": "continued",
    "WIFSIGNALED": "killed",
    "WCOREDUMP": "core",
}
MORE = ("cmsg_level=SOL_IPV6", "_IOC(")
"""Where strace shows less: control messages of IPv6, requests without a name."""
_SAID_BY_FORM = {
    "AF_INET": r"\d+\.\d+\.\d+\.\d+",
    "AF_INET6": r"[0-9a-f:]*::?[0-9a-f]",
    "AF_UNIX": 'Unix|"',
    "AF_NETLINK": "netlink",
    "IPPROTO_IP": r"^0 |the usual one",
    "NULL": "no address|does not ask|nothing of this kind",
    "WEXITSTATUS": "exited",
    "WSTOPSIG": "stopped",
    "WTERMSIG": "killed",
    "SCM": "descriptors",
}
DERIVED = re.compile(
    r"cmsg_len=\d+, cmsg_level=\w+, "  # the name of a control message says its level, what it holds its length
    r"|u32=\d+, |, si_ptr=\w+"  # the other member of a union
    r"|, sigsetsize=8|left \{[^}]*\}"
    r"|cmsg_type=0x\w+"
)
_ATOM = re.compile(
    r'@?"(?P<string>(?:[^"\\]|\\.)*)"(?P<more>\.\.\.)?'
    r"|(?P<address>\d+\.\d+\.\d+\.\d+|(?<![\w:])[0-9a-f]{0,4}(:[0-9a-f]{0,4}){2,7}(?![\w:]))"
    r"|(?<![\w.])(?P<number>-?0x[0-9a-f]+|-?\d+)(?![\w.]*\w)"
    r"|(?<![\w])(?P<name>[A-Z_][A-Z0-9_]*[A-Z0-9])\b"
)
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")| ?/\*.*?\*/')
_OURS = re.compile(r"-?[\d.]+(e-?\d+)? s\b|\d+ bytes|\(EFAULT.*")
"""Words of ours that hold numbers: seconds, sizes of what was captured."""
_HARDWARE = re.compile(r"(?<=sll_addr=)\[([^\]]*)\]")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)")
_NAMED = {"n": 10, "t": 9, "r": 13, "v": 11, "f": 12, "e": 27}

Atom = int | str | bytes


def without_comments(line: str) -> str:
    """strace's remarks: dates, what a number means."""
    return _COMMENT.sub(lambda found: found[1] or "", line)


def unescaped(text: str) -> bytes:
    """The bytes that a quoted string stands for."""

    def byte(found: re.Match[str]) -> str:
        word = found[1]
        if word[0] == "x":
            return chr(int(word[1:], 16))
        return chr(int(word, 8)) if word.isdigit() else chr(_NAMED.get(word, ord(word)))

    raw = text.encode("utf-8", "surrogateescape").decode("latin-1")
    return _ESCAPE.sub(byte, raw).encode("latin-1", "replace")


def atoms(text: str) -> Iterator[Atom]:
    """The facts of a text: ints, names, byte strings."""
    for found in _ATOM.finditer(text):
        if found["string"] is not None:
            yield unescaped(found["string"])
        elif found["address"]:
            yield found["address"].encode()
        elif found["number"]:
            word = found["number"]
            yield int(word, 8) if re.fullmatch("0[0-7]+", word) else int(word, 10 if word.lstrip("-").isdigit() else 0)
        else:
            yield found["name"].removesuffix("_OLD")


def arguments(line: str) -> tuple[list[str], str]:
    """The arguments of a call's line, and what stands behind ` = `."""
    start, depth, quoted, at = line.index("(") + 1, 0, False, 0
    parts, begin = [], start
    at = start
    while at < len(line):
        char = line[at]
        if quoted:
            at += char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "([{":
            depth += 1
        elif char == ")" and not depth:
            break
        elif char in ")]}":
            depth -= 1
        elif char == "," and not depth:
            parts.append(line[begin:at].strip())
            begin = at + 1
        at += 1
    if line[begin:at].strip():
        parts.append(line[begin:at].strip())
    return parts, line[at + 1 :].removeprefix(" = ").strip()


def difference(call: DecodedCall, line: str) -> str:
    """ "" if the call, as a user sees it, says what the line says."""
    line = _HARDWARE.sub(lambda found: ":".join(f"{int(byte, 16):02x}" for byte in found[1].split(", ")), line)
    line = without_comments(line)
    spelled, result = arguments(line)
    if call.name in ("clone", "clone3"):  # strace has an order and names of its own
        spelled, shown = [", ".join(spelled)], [_together(call)]
    else:
        shown = list(call.args)
    if len(spelled) != len(shown):
        return f"{len(shown)} arguments, strace has {len(spelled)}: {line}"
    for text, arg in zip(spelled, shown, strict=True):
        told = _argument(text, arg, set(atoms(result)) if "poll" in call.name else set())
        if told and not _is_open(call, arg):
            return f"{call.name}, {arg.name}: {told}\n  strace: {text}\n  socklab: {arg.text}   {arg.meaning}"
    return _result(call, result)


def _is_open(call: DecodedCall, arg: DecodedArg) -> bool:
    return (call.name.startswith("execve") and arg.name == "envp") or arg.name == "rusage"


def _together(call: DecodedCall) -> DecodedArg:
    fields = tuple(field for arg in call.args for field in arg.fields)
    text = " ".join(arg.text for arg in call.args)
    return DecodedArg("all", text, f"{' '.join(arg.meaning for arg in call.args)} {call.value}", fields=fields)


def _argument(spelled: str, arg: DecodedArg, answered: set[Atom]) -> str:
    """`answered`: what strace says behind the result: which descriptors poll found ready."""
    view = " ".join((arg.text, arg.meaning, *(field.text for field in arg.fields)))
    seen, theirs = set(atoms(view)), list(atoms(DERIVED.sub("", spelled)))
    opened = spelled[:1] in ("[", "{")
    if "IPPROTO_IP" in theirs:
        theirs.append(0)
    for atom in theirs:
        if not _is_said(atom, seen, view, arg) and not (opened and atom == 0):
            return f"{atom!r} is not told"
    if arg.name == "all" or any(each in spelled for each in MORE):
        return ""
    known = set(theirs) | answered | {WORDS.get(str(atom), atom) for atom in theirs}
    for atom in atoms(_OURS.sub("", arg.text)):
        if not _is_backed(atom, known, spelled, arg):
            return f"{atom!r} is made up"
    return ""


def _is_said(atom: Atom, seen: set[Atom], view: str, arg: DecodedArg) -> bool:
    if atom in seen:
        return True
    if isinstance(atom, bytes):
        return (
            atom in arg.data
            or atom.decode("latin-1") in view
            or any(isinstance(other, bytes) and _same_string(atom, other) for other in seen)
        )
    if isinstance(atom, int):
        return (
            errno_name(atom) in seen
            or atom & 0xFFFFFFFF in seen
            or arg.data == (atom & 0xFFFFFFFF).to_bytes(4, "little")
        )
    return (
        WORDS.get(atom, atom) in seen
        or WORDS.get(atom, "\0") in view
        or bool(atom in _SAID_BY_FORM and re.search(_SAID_BY_FORM[atom], view))
    )


def _same_string(theirs: bytes, ours: bytes) -> bool:
    """A screen leaves out NULs at the end, and in a struct what is beyond the first 64 bytes."""
    return ours.startswith(theirs.rstrip(b"\0")) or (len(ours) >= 60 and theirs.startswith(ours))


def _is_backed(atom: Atom, known: set[Atom], spelled: str, arg: DecodedArg) -> bool:
    if atom in known:
        return True
    strings = [other for other in known if isinstance(other, bytes)]
    if any(string and "sa_data=" in spelled and string in arg.data for string in strings):
        return True
    if any(string and (arg.data.startswith(string) or string.startswith(arg.data)) for string in strings):
        return True  # the same bytes
    if isinstance(atom, bytes):
        return any(string.startswith(atom) or atom.startswith(string) for string in strings) or (
            int.from_bytes(arg.data[:4], "little") in known
        )
    if isinstance(atom, int):
        return atom > 0xFFFF and spelled[:1] in ("[", "{")  # an address strace leaves out
    return any(isinstance(other, int) and errno_name(other) == atom for other in known)


def _result(call: DecodedCall, spelled: str) -> str:
    if spelled == "?":
        return "" if not call.result else f"result {call.result}, strace has none"
    number, _, rest = spelled.partition(" ")
    if number == "?" or call.errno:
        return "" if spelled.split(" (")[0] == call.result else f"result {call.result}, strace: {spelled}"
    view = " ".join((call.result, call.outcome, str(call.value), *(f"{arg.text} {arg.meaning}" for arg in call.args)))
    if not set(atoms(number)) <= set(atoms(f"{call.result} {call.value}")):
        return f"result {call.result}, strace: {spelled}"
    seen = set(atoms(view))
    for atom in atoms(DERIVED.sub("", rest.replace("Timeout", ""))):
        if atom not in seen and WORDS.get(str(atom), "") not in seen:
            return f"result {call.result} ({call.outcome}): {atom!r} is not told\n  strace: {spelled}"
    return ""
