"""What the traced program and the clients' commands wrote, and what was typed to the program; newest at the bottom.

In: Output events. Out: the last lines, made visible, each with its writer where there are several. Reads only as far
back as the panel is high.
"""

from __future__ import annotations

from socklab import state as st
from socklab.core.text import safe
from socklab.protocol import events as ev
from socklab.ui.tui.panels.panel import Panel
from socklab.ui.view.lines import Line, View, client_role, column

_STREAMS = {"err": ("! ", "bad"), "in": ("> ", "key")}
"""Signs of what is no standard output: standard error, and what was typed."""

_FAR = 64 * 1024
"""Bytes looked at: a program that writes without line ends is shown no further back."""


class OutputPanel(Panel):
    """What was written and typed."""

    title_text = "Output"
    evidence_of = "output"

    def nothing(self, state: st.LabState) -> str:
        return "" if len(state.output) else "Nothing has been written yet."

    def lines(self, state: st.LabState, view: View) -> list[Line]:
        """The last `view.height` lines, ten times as many when the panel has the screen."""
        log = state.output
        wanted = view.height * (10 if view.maximised else 1)
        chunks: list[ev.Output] = []
        lines_seen = size = 0
        for place in range(len(log) - 1, -1, -1):
            chunk = log[place]
            chunks.append(chunk)
            lines_seen += chunk.data.count(b"\n")
            size += len(chunk.data)
            if lines_seen > wanted or size > _FAR:
                break
        chunks.reverse()
        names = {safe(chunk.source) for chunk in chunks}
        cells = min(12, max(map(len, names))) if len(names) > 1 else 0
        lines: list[Line] = []
        for source, stream, data in _pieces(chunks):
            mark, role = _STREAMS.get(stream, ("", ""))
            writer = client_role(source) if source != "server" else "dim"
            for text in safe(data[-_FAR:], lines=True).split("\n"):
                line: Line = ((mark, role), (text, role))
                lines.append((column(safe(source), cells, writer), (" ", ""), *line) if cells else line)
        return lines[-wanted:]

    def relevance(self, state: st.LabState, call: str) -> int:
        return int(not state.clients and len(state.output) > 0)


def _pieces(chunks: list[ev.Output]) -> list[tuple[str, str, bytes]]:
    """Writes of one writer one after another are one text: a line may come in several."""
    pieces: list[tuple[str, str, list[bytes]]] = []
    for chunk in chunks:
        if pieces and pieces[-1][:2] == (chunk.source, chunk.stream):
            pieces[-1][2].append(chunk.data)
        else:
            pieces.append((chunk.source, chunk.stream, [chunk.data]))
    # The last line end would show as an empty line.
    return [(source, stream, b"".join(parts).removesuffix(b"\n")) for source, stream, parts in pieces]
