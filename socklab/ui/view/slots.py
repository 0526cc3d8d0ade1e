"""The slots of an accept queue as one line.

In: depth and limit as the kernel gives them, names of the connections that wait. Out: spans. The slot beyond the limit
is drawn, because Linux refuses only when the depth *exceeds* the backlog.
"""

from __future__ import annotations

from socklab.ui.view.lines import Line, Span, client_role


def slots(depth: int, limit: int, names: list[str], room: int) -> Line:
    """`[abcd|e]`: a letter or ■ for who waits, · for a free slot; behind the bar the one beyond the limit.

    With more slots than room, a bar whose filled part is the part of the queue that is taken.
    """
    if room < 4:
        return ()
    if max(depth, limit + 1) + 3 > room:
        cells = min(room - 2, 24)
        taken = min(cells, -(-depth * cells // (limit + 1)))
        return (("[", "dim"), ("■" * taken, "accept"), ("·" * (cells - taken), "free"), ("]", "dim"))
    spans: list[Span] = [("[", "dim")]
    # Letters only when each waiting connection is known; else the kernel's count alone.
    known = names if len(names) == depth else []
    for place in range(max(depth, limit + 1)):
        if place == limit:
            spans.append(("|", "warn" if depth > limit else "dim"))
        if place < depth:
            name = known[place] if known else ""
            spans.append((name, client_role(name)) if len(name) == 1 else ("■", client_role(name) or "accept"))
        else:
            spans.append(("·", "free"))
    spans.append(("]", "dim"))
    return tuple(spans)


_MOST_TILES = 24


def tiles(depth: int, limit: int, names: list[str], *, apart: bool) -> Line:
    """A tile for each connection: "a b c d ┊ e", or "abcd┊e"; of more than a few a bar, as `slots` draws it."""
    places = max(depth, limit + 1)
    if places > _MOST_TILES:
        return slots(depth, limit, names, 26)
    gap: Line = ((" ", ""),) if apart else ()
    known = names if len(names) == depth else []
    spans: list[Span] = []
    for place in range(places):
        if place == limit:
            spans += [("┊", "warn" if depth > limit else "dim"), *gap]
        name = known[place] if known and place < depth else ""
        if place >= depth:
            spans.append(("·", "free"))
        elif len(name) == 1:
            spans.append((name, f"{client_role(name)} tile"))
        else:
            spans.append(("■", client_role(name) or "accept"))
        spans += gap
    return tuple(spans[: -len(gap) or None])
