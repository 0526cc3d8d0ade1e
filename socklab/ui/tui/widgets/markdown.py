"""The Markdown of lessons as Lines: paragraphs, headings, lists, quotes, fenced code; `code`, **bold**, *italic*.

In: Markdown from a lesson, which is not trusted. Out: wrapped Lines of safe text. No links, pictures or HTML: they
stay as they were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from socklab.core.text import safe
from socklab.ui.view.lines import Line, Span, clip, wrap

_INLINE = re.compile(
    r"(`+)(?P<code>.+?)\1|\*\*(?P<bold>\S(?:.*?\S)??)\*\*|(?<![\w*])\*(?P<italic>[^\s*](?:[^*]*[^\s*])?)\*(?!\w)"
)
_ITEM = re.compile(r"^(?P<indent> *)(?P<mark>[-*+]|\d{1,3}[.)]) +(?P<text>.*)$")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.*?)#*$")
_FENCE = re.compile(r"^ *(`{3,}|~{3,})")


def to_lines(markdown: str, cells: int, *, blank: bool = True) -> list[Line]:
    """Wrapped to `cells`; `blank` puts an empty line between blocks."""
    return [*_lines(markdown, cells, blank)]


@lru_cache(maxsize=32)
def _lines(markdown: str, cells: int, blank: bool) -> tuple[Line, ...]:
    """A text stays the same at most drawings."""
    out: list[Line] = []
    previous = ""
    for kind, text, depth in _blocks(safe(markdown, lines=True)):
        if out and blank and not (kind == previous == "item"):
            out.append(())
        previous = kind
        if kind == "code":
            out.extend(clip(((f"  {line}", "string"),), cells) for line in text.split("\n"))
        elif kind == "heading":
            out.extend(wrap(inline(text, "title"), cells))
        elif kind == "item":
            mark, _, rest = text.partition(" ")
            lead = " " * min(2 * depth, cells // 4) + ("•" if mark in "-*+" else mark) + " "
            out.extend(wrap(((lead, "dim"), *inline(rest)), cells, indent=len(lead)))
        else:
            out.extend(wrap(inline(text), cells))
    return tuple(out)


def inline(text: str, role: str = "") -> Line:
    """One line's code, bold and italic as spans; everything else has `role`."""
    spans: list[Span] = []
    end = 0
    for found in _INLINE.finditer(text):
        if found.start() > end:
            spans.append((text[end : found.start()], role))
        if found["code"] is not None:
            spans.append((found["code"].strip() or found["code"], "name"))
        elif found["bold"] is not None:
            spans.extend(
                (inner, f"strong {its}".strip() if its != "strong" else its)
                for inner, its in inline(found["bold"], role)
            )
        else:
            spans.append((found["italic"], "strong"))
        end = found.end()
    if end < len(text):
        spans.append((text[end:], role))
    return tuple(spans)


def _blocks(text: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, depth): para, heading, item (text begins with its mark) or code."""
    gathered: list[str] = []
    kind, depth = "", 0

    def done() -> Iterator[tuple[str, str, int]]:
        nonlocal kind
        if gathered:
            yield kind, " ".join(part.strip() for part in gathered), depth
            gathered.clear()
        kind = ""

    lines = iter(text.split("\n"))
    for line in lines:
        fence = _FENCE.match(line)
        if fence:
            yield from done()
            code = []
            for inside in lines:
                if inside.strip().startswith(fence[1]):
                    break
                code.append(inside)
            yield "code", "\n".join(code), 0
            continue
        if not line.strip():
            yield from done()
            continue
        heading, item = _HEADING.match(line.strip()), _ITEM.match(line)
        if heading:
            yield from done()
            yield "heading", heading["text"].strip(), 0
        elif item:
            yield from done()
            kind, depth = "item", len(item["indent"]) // 2
            gathered.append(f"{item['mark']} {item['text']}")
        else:
            kind = kind or "para"
            gathered.append(line)
    yield from done()
