"""Untrusted bytes become visible text: every character that a terminal would obey is shown as itself."""

from __future__ import annotations

import unicodedata

from hypothesis import given, settings, strategies as some

from socklab.core.text import safe


def test_control_characters_have_the_glyphs_unicode_made_for_them() -> None:
    assert safe("".join(map(chr, range(32)))) == "".join(chr(0x2400 + code) for code in range(32))
    assert safe("a\x7fb\x1b[2J") == "a␡b␛[2J"


def test_hidden_characters_are_told_by_their_number() -> None:
    told = {
        "\x80": "\\x80", "\x9f": "\\x9f", "\xad": "\\xad", "\u200b": "\\u200b", "\u202e": "\\u202e",
        "\u2028": "\\u2028",
        "\ufe0f": "\\ufe0f", "\ufe00": "\\ufe00", "\ue000": "\\ue000", "\U000e0041": "\\U000e0041", "\ud800": "\\ud800",
        "\u0378": "\\u0378",
    }  # fmt: skip
    assert {raw: safe(raw) for raw in told} == told
    assert safe("é ü 日本 \ufdff \ufe10 ~") == "é ü 日本 \ufdff \ufe10 ~"


def test_bytes_that_are_not_utf8_are_shown_one_by_one() -> None:
    assert safe(b"caf\xc3\xa9 \xff\x80") == "café \\xff\\x80"
    assert safe(bytearray(b"\xfe")) == "\\xfe"
    assert safe("\udc7f\udd00") == "\\udc7f\\udd00"


def test_lines_stay_lines_only_where_they_are_asked_for() -> None:
    assert safe("a\n\tb\r", lines=True) == "a\n    b␍"
    assert safe("a\n\tb\r") == "a␊␉b␍"
    assert safe("plain ascii") == "plain ascii"


@settings(max_examples=300, deadline=None)
@given(some.text() | some.binary())
def test_whatever_comes_nothing_hidden_passes_and_text_that_is_visible_stays(raw: str | bytes) -> None:
    shown = safe(raw)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert safe(shown) == shown
    assert safe(raw, lines=True).replace("\n", "").isprintable() or not shown.isprintable()
