"""Numbers to names: tables of constants, sets of flags, quoted strings.

In: a number or bytes. Out: text for a person, or strace's spelling of the same. Knows no call.
"""

from __future__ import annotations

from socklab.core.text import safe


class Names:
    """Values of which one stands for one name: address families, options, commands."""

    def __init__(self, unknown: str, by_value: dict[int, str], meanings: str = "") -> None:
        self.unknown = unknown
        self.by_value = by_value
        self.meanings = meanings_of(meanings)

    def text(self, value: int) -> str:
        """The name, or the bare number."""
        return self.by_value.get(value) or str(value)

    def strace(self, value: int) -> str:
        """The name, or the number with strace's remark that it has none."""
        return self.by_value.get(value) or f"{hex(value) if value else 0} /* {self.unknown} */"

    def meaning(self, value: int) -> str:
        return self.meanings.get(self.by_value.get(value, ""), "")


class Flags:
    """Bits that may be set together, in the order strace prints them."""

    def __init__(self, unknown: str, bits: dict[str, int], meanings: str = "") -> None:
        self.unknown = unknown
        self.bits = bits
        self.meanings = meanings_of(meanings)

    def split(self, value: int) -> tuple[list[str], int]:
        """Names of the bits that are set, and what remains of the number without them."""
        found = []
        for name, bit in self.bits.items():
            if bit and value & bit == bit:
                found.append(name)
                value &= ~bit
        return found, value

    def text(self, value: int) -> str:
        found, rest = self.split(value)
        if rest:
            found.append(hex(rest))
        return "|".join(found) or "0"

    def strace(self, value: int) -> str:
        found, rest = self.split(value)
        if rest:
            found.append(hex(rest) if found else f"{hex(rest)} /* {self.unknown} */")
        return "|".join(found) or "0"

    def meaning(self, value: int) -> str:
        found, _ = self.split(value)
        return "; ".join(self.meanings[name] for name in found if name in self.meanings)


def meanings_of(text: str) -> dict[str, str]:
    """Lines of a name and what it says."""
    rows = (line.partition(" ") for line in text.strip().splitlines())
    return {name: words for name, _, words in rows}


def sequence(prefix: str, text: str) -> dict[int, str]:
    """Names by value from blocks: a first number with a colon, then the names that follow one another from it."""
    table: dict[int, str] = {}
    at = 0
    for word in text.split():
        if word.endswith(":"):
            at = int(word[:-1], 0)
        else:
            table[at] = prefix + word
            at += 1
    return table


def bits(prefix: str, text: str) -> dict[str, int]:
    """Flags from words such as `OOB=0x1`, in order."""
    pairs = (word.split("=") for word in text.split())
    return {prefix + name: int(value, 0) for name, value in pairs}


# ---------------------------------------------------------------- strings

_ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x0C: "\\f", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x0B: "\\v"}

_OCTAL_DIGITS = frozenset(bytes([digit]) for digit in b"01234567")


def strace_string(data: bytes, more: bool = False) -> str:
    """Bytes as strace quotes them: C escapes, octal as short as what follows allows; `...` behind if there is more."""
    out = []
    for index, byte in enumerate(data):
        if byte in _ESCAPES:
            out.append(_ESCAPES[byte])
        elif 0x20 <= byte < 0x7F:
            out.append(chr(byte))
        elif data[index + 1 : index + 2] in _OCTAL_DIGITS:
            out.append(f"\\{byte:03o}")
        else:
            out.append(f"\\{byte:o}")
    return f'"{"".join(out)}"{"..." if more else ""}'


_READABLE = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x00: "\\0", 0x1B: "\\e"}


def readable(data: bytes, limit: int = 64, more: bool = False) -> str:
    """Bytes as a quoted string for a person: C escapes for what is invisible, UTF-8 as it reads, `...` where cut."""
    first, *parts = data[:limit].decode("utf-8", "surrogateescape").split("\0")
    text = first.translate(_READABLE)
    for part in parts:  # of \0 and a digit behind it a C programmer would make one number
        text += ("\\x00" if "0" <= part[:1] <= "7" else "\\0") + part.translate(_READABLE)
    out = "".join(f"\\x{ord(each):02x}" if ord(each) < 0x20 or ord(each) == 0x7F else each for each in text)
    return f'"{safe(out)}"{"..." if more or len(data) > limit else ""}'
