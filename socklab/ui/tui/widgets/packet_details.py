"""One packet in full: what it is, every header field, its bytes.

In: a packet with its meaning and fate. Out: lines of at most so many cells. Of other packets it tells how many copies.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.packets import packet_log
from socklab.packets.fields import Field, fields
from socklab.packets.flows import RETRANSMISSION
from socklab.packets.packet_log import Passed
from socklab.ui.tui.widgets.hexdump import hexdump
from socklab.ui.view.formats import count, plural
from socklab.ui.view.lines import Line, Span, clip, wrap
from socklab.ui.view.packet_arrow import MARKS, name

_INDENT = 7


def details(state: st.LabState, passed: Passed, who: str, cells: int, height: int) -> list[Line]:
    """All of it: headline, fields by layer (the innermost first: it is what one looks for), bytes."""
    segment = passed.segment
    lines = _wrapped(_headline(state, passed, who), cells)
    found = fields(passed.packet.data, passed.packet.length)
    layers = list(dict.fromkeys(field.layer for field in found if field.layer != "payload"))
    for layer in reversed(layers):
        lines += _layer(layer, [field for field in found if field.layer == layer], passed, cells)
    if segment.problem:
        lines += wrap((("wrong  ", "bad"), (safe(segment.problem), "bad")), cells, _INDENT)
    data = passed.packet.data
    lines.append(_bytes_title(passed, cells))
    return [*lines, *hexdump(data, cells, max(height - len(lines), len(data)))]


def _headline(state: st.LabState, passed: Passed, who: str) -> Line:
    packet, segment = passed.packet, passed.segment
    fate = state.fates.get(packet.id, "on its way")
    waited = state.waited_ns.get(packet.id)
    told = f"{fate} after {waited / 1e9:.3f} s" if waited is not None else fate
    since = state.on_the_way.get(packet.id)
    if since is not None:
        told = f"{fate} since {since / 1e9:.3f} s"
    role = {"delivered": "good", "dropped": "bad"}.get(fate, "warn")
    of = f", connection of {who}" if who and who[0].isalpha() else ""
    spans: list[Span] = [
        (f"#{packet.id} ".ljust(_INDENT), "title"),
        (safe(name(passed)), "strong"),
        (f"  {safe(packet.source)} {segment.source_end} → {safe(packet.destination)} {segment.destination_end}", ""),
        (of, "dim"),
        (", ", "dim"),
        (_glued(f"at {packet.t / 1e9:.6f} s, "), "dim"),
        (f"{_glued(plural(packet.length, 'byte'))}, ", "dim"),
        (_glued(safe(told)), role),
    ]
    for mark in passed.seen.marks:
        spans += [(", ", "dim"), (MARKS.get(mark, (mark, mark))[0], "warn")]
    if RETRANSMISSION not in passed.seen.marks:
        copies = packet_log.copies(state.packets, packet_log.index_of(state.packets, packet.id))
        if copies:
            last = state.packets[copies[-1]].t / 1e9
            spans += [(", ", "dim"), (_glued(f"sent again {len(copies)}× until {last:.3f} s"), "warn")]
    return tuple(spans)


def _layer(layer: str, parts: list[Field], passed: Passed, cells: int) -> list[Line]:
    """ "TCP    source port 40001 · destination port 8080 · sequence number 0 (2882400001 on the wire) ..." """
    spans: list[Span] = [(layer.ljust(_INDENT), "title")]
    for part in parts:
        said = safe(part.name.removeprefix("option: "))
        if said in _PADDING:
            continue
        if len(spans) > 1:
            spans.append(("  ", ""))
        # A name stays with its value: no line ends between the two.
        spans += [(_glued(f"{said} "), "dim"), (_glued(safe(part.value) or "yes"), "number")]
        extra = _relative(part, passed)
        if extra:
            spans.append((f"{_GLUE if cells >= 50 else ' '}({_glued(extra)})", "name"))
    return _wrapped(tuple(spans), cells)


def _wrapped(line: Line, cells: int) -> list[Line]:
    return [tuple((text.replace(_GLUE, " "), role) for text, role in found) for found in wrap(line, cells, _INDENT)]


_GLUE = "\u00a0"
_PADDING = ("no operation", "end of options")


def _glued(text: str) -> str:
    return text.replace(" ", _GLUE)


def _relative(part: Field, passed: Passed) -> str:
    """What a number of the header means within its connection."""
    seen = passed.seen
    if part.layer != "TCP" or not seen.connection:
        return ""
    if part.name.startswith("sequence"):
        return f"relative {count(seen.seq)}"
    if part.name.startswith("acknowledg") and seen.ack:
        return f"relative {count(seen.ack)}"
    if part.name == "window" and seen.window_is_scaled:
        return plural(seen.window, "byte")
    return ""


def _bytes_title(passed: Passed, cells: int) -> Line:
    segment, packet = passed.segment, passed.packet
    here, size = len(packet.data), packet.length
    cut = f", the first {count(here)} are here" if here < size else ""
    carried = f"{plural(segment.payload_bytes, 'byte')} of payload" if segment.payload_bytes else "no payload"
    return clip((("bytes".ljust(_INDENT), "title"), (f"{plural(size, 'byte')}{cut}; {carried}", "dim")), cells)
