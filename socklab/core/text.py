"""The one place where untrusted bytes become text that may reach a terminal.

In: bytes or strings from the tracee, clients, file names, argv, lessons, recordings. Out: text in which every
character is printable and stands for itself. Never returns a control, format, bidi or surrogate character.
"""

from __future__ import annotations

import unicodedata

# C0 controls and DEL have a visible glyph of their own in Unicode (U+2400 block): ESC is shown as ␛.
_GLYPHS = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "␡"}
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class _Visible(dict[int, str]):
    """Translation table, filled as characters are met; a plain character is looked at once in a process's life."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if unicodedata.category(character) in _HIDDEN or 0xFE00 <= code <= 0xFE0F:
            if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8, kept by surrogateescape
                shown = f"\\x{code - 0xDC00:02x}"
            elif code <= 0xFF:
                shown = f"\\x{code:02x}"
            elif code <= 0xFFFF:
                shown = f"\\u{code:04x}"
            else:
                shown = f"\\U{code:08x}"
        else:
            shown = character
        self[code] = shown
        return shown


_TABLE = _Visible(_GLYPHS)
_TABLE_LINES = _Visible(_GLYPHS | {0x0A: "\n", 0x09: "    "})


def safe(raw: str | bytes, *, lines: bool = False) -> str:
    """`raw` as one line of visible text; with `lines`, newlines stay and a tab becomes four spaces.

    Bytes are read as UTF-8; what is not UTF-8 is shown as \\xNN.
    """
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes | bytearray) else raw
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_TABLE_LINES if lines else _TABLE)
