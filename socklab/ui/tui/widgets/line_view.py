"""A panel on the screen: a thin title and a body of lines, of which only changed ones are drawn again.

In: a title, a sequence of Lines (a list, or one made row by row as it is asked), a Theme. Out: Strips; actions asked
for by the mouse. Drawing costs what is visible and different, not what there is. Never knows the lab's state, never
turns text into markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual import events
from textual.color import Color
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from socklab.ui.tui.failures import Sturdy
from socklab.ui.view import lines as ln
from socklab.ui.view.lines import Line, Overlay, cell_len

if TYPE_CHECKING:
    from textual.selection import Selection

    from socklab.ui.tui.theme import Theme

_NO_GROUND = Color(0, 0, 0)
"""Filters are told a background they may blend with; ours are opaque."""

_MOST_STRIPS = 256
"""A row weighs 4 kB, and a screen that lives on makes new ones all the time."""

Hot = tuple[int, int, str]
"""(first cell, cell behind the last, action): what a click there asks for."""


class LineView(Sturdy, Widget, can_focus=True):
    """Lines with a title, scrolled by whole lines."""

    ALLOW_MAXIMIZE = False  # the screen's own plan maximises panels
    DEFAULT_CSS = "LineView { width: 1fr; height: 1fr; }"

    class Wanted(Message):
        """A click asks for an action of the screen."""

        def __init__(self, action: str) -> None:
            super().__init__()
            self.action = action

    class Resized(Message):
        """The view has another size: what it shows must be made anew."""

    def __init__(self, theme: Theme, *, titled: bool = True, focusable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name)
        self.can_focus = focusable
        self.theme = theme
        self.panel = ""
        """Which panel it shows."""
        self.top = 0
        """First line shown."""
        self.cursor_rows = False
        """`current` marks a selected row here, not the line about to run."""
        self.row_action: Callable[[int], str] | None = None
        """The action a click on body line n asks for, or None."""
        self.at_end = True
        """The last line is in sight: where lines come at the end, the view goes along with them."""
        self.raised = False
        """On a lighter ground than the rest: a bar that sets things apart."""
        self._titled = titled
        self._title: Line = ()
        self._hot: Sequence[Hot] = ()
        self._head: Sequence[Line] = ()
        self._foot: Sequence[Line] = ()
        self._lines: Sequence[Line] = ()
        self._shown: list[Line | None] = []
        self._over: Overlay = {}
        """By line of the body: what moves over it at this moment."""
        self._bar: tuple[int, int] = (0, 0)
        self._strips: dict[tuple[Line, int], Strip] = {}
        self._older: dict[tuple[Line, int], Strip] = {}
        """Rows that were made: the last few hundred, and as many from before them."""
        """Finished strips of (line, the cells its text may take)."""
        self._width = self._height = 0

    # ---------------------------------------------------------------- what is shown

    @property
    def lines(self) -> Sequence[Line]:
        """All lines of the body."""
        return self._lines

    @property
    def body_height(self) -> int:
        return max(0, self._height - self._above - len(self._foot))

    @property
    def room(self) -> int:
        """Rows under the title, whatever stands there now."""
        return max(0, self._height - self._titled)

    @property
    def _above(self) -> int:
        """Rows above the body: the title and the column heads, which don't scroll."""
        return self._titled + len(self._head)

    @property
    def body_width(self) -> int:
        """Cells of a line: the last column belongs to the scroll bar of a titled view."""
        return max(0, self._width - self._titled)

    def show(
        self,
        lines: Sequence[Line],
        title: Line = (),
        hot: Sequence[Hot] = (),
        *,
        head: Sequence[Line] = (),
        foot: Sequence[Line] = (),
        follow: bool = False,
        tail: bool = False,
    ) -> None:
        """Show these lines. With `follow` the view scrolls to keep the line marked `current` in sight.

        With `tail` it goes along with new lines at the end, unless it was scrolled away from there. `head` and
        `foot` stand above and below them and don't scroll.
        """
        if head != self._head or foot != self._foot:
            self._head, self._foot = head, foot
            self._shown = []
        self._lines = lines
        self._hot = hot
        if title != self._title:
            self._title = title
            if self._titled:
                self.refresh(Region(0, 0, self._width, 1))
        if follow:
            self._follow()
        if tail and self.at_end:
            self.top = len(lines)
        self._clamp()
        self._draw_changed()

    def lay(self, over: Overlay) -> None:
        """Lay these over lines of the body instead of what lay there: only lines they touch are drawn again."""
        before, self._over = self._over, over
        lines = [line for line in sorted({*before, *over}) if before.get(line) != over.get(line)]
        seen = [line - self.top for line in lines if 0 <= line - self.top < self.body_height]
        if seen:
            self.refresh(*(Region(0, self._above + y, self._width, 1) for y in seen))

    def scroll_to_line(self, line: int) -> None:
        """Make `line` the first one shown, as far as there are lines."""
        self.top = line
        self._clamp()
        self.at_end = self.top >= len(self._lines) - self.body_height
        self._draw_changed()

    def scroll_by(self, rows: int) -> None:
        self.scroll_to_line(self.top + rows)

    def keep_in_sight(self, line: int) -> None:
        height = self.body_height
        seen = self.top <= line < self.top + height
        self.scroll_to_line(self.top if seen else line - height // 2)

    def use(self, theme: Theme) -> None:
        """Draw everything anew with another theme."""
        self.theme = theme
        self._forget()

    def _forget(self) -> None:
        self._strips.clear()
        self._older.clear()
        self._shown = []
        self.refresh()

    def _clamp(self) -> None:
        self.top = max(0, min(self.top, len(self._lines) - self.body_height))

    def _follow(self) -> None:
        height = self.body_height
        for index, line in enumerate(self._lines):
            if line and line[0][1].startswith("current"):
                # A third from the top: what led here above, what comes next below.
                margin = min(2, height // 4)
                if not self.top + margin <= index < self.top + height - margin:
                    self.top = index - height // 3
                return

    def _visible(self) -> list[Line | None]:
        height = self.body_height
        found: list[Line | None] = list(self._lines[self.top : self.top + height])
        found += [None] * (height - len(found))
        return found

    def _draw_changed(self) -> None:
        new = self._visible()
        old = self._shown
        bar = self._thumb()
        self._shown = new
        if len(new) != len(old) or bar != self._bar:
            self._bar = bar
            self.refresh()
            return
        width, first = self._width, self._above
        changed = [Region(0, y + first, width, 1) for y in range(len(new)) if new[y] != old[y]]
        if changed:
            self.refresh(*changed)

    def _thumb(self) -> tuple[int, int]:
        """(first row, row behind the last) of the scroll bar's thumb; (0, 0) = everything is in sight."""
        height, total = self.body_height, len(self._lines)
        if total <= height or height < 2 or not self._titled:
            return 0, 0
        size = max(1, height * height // total)
        first = (height - size) * self.top // max(1, total - height)
        return first, first + size

    # ---------------------------------------------------------------- drawing

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows of this widget, ready for the compositor.

        Straight from our own cache: there is no border or padding that Textual's styles would have to add.
        """
        strips = [self._row(y) for y in range(crop.y, crop.bottom)]
        for line_filter in self.app.get_line_filters():
            strips = [strip.apply_filter(line_filter, _NO_GROUND) for strip in strips]
        if crop.x or crop.width != self._width:
            strips = [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def render_line(self, y: int) -> Strip:
        """One row that knows where in the text it is: Textual asks for it under the mouse, to select."""
        return self._row(y).apply_offsets(0, y if y < self._above else self.top + y)

    def _row(self, y: int) -> Strip:
        above = self._above
        room = self._width
        if y == 0 and self._titled:
            line, content_y = self._title, 0
        elif y < above:
            line, content_y = self._head[y - self._titled], y
        elif y >= above + self.body_height:
            # A view can be asked for a row before it has been told its size.
            below = y - above - self.body_height
            line = self._foot[below] if below < len(self._foot) else ()
            content_y = len(self._lines) + y
        else:
            row = y - above
            if len(self._shown) != self.body_height:
                self._shown = self._visible()
            line = (self._shown[row] if row < len(self._shown) else None) or ()
            content_y = self.top + y
            if self._over and (pieces := self._over.get(self.top + row)):
                line = ln.laid(line, pieces)
            first, end = self._bar
            if end:
                line = (*ln.pad(line, room - 1), ("┃" if first <= row < end else "│", "rule"))
            else:
                room -= self._titled
        strip = self._strip(line, room)
        return strip if self.text_selection is None else self._selected(strip, content_y)

    def _strip(self, line: Line, room: int) -> Strip:
        key = (line, room)
        found = self._strips.get(key)
        if found is None:
            if len(self._strips) >= _MOST_STRIPS:
                self._strips, self._older = {}, self._strips
            found = self._strips[key] = self._older.get(key) or self._made(line, room)
        return found

    def _made(self, line: Line, room: int) -> Strip:
        """The line in at most `room` cells, filled up to the view's width."""
        width = self._width
        theme = self.theme
        style = theme.style
        if line and line[0][1].startswith("current"):
            if self.cursor_rows:
                segments = [
                    Segment(t, style(r.removeprefix("current").strip()) + theme.cursor)
                    for t, r in ln.clip_words(line, room)
                ]
                fill = style("") + theme.cursor
            else:
                segments = [Segment(t, theme.current) for t, _ in ln.clip_words(line, room)]
                fill = theme.current
        else:
            segments = [Segment(t, style(r)) for t, r in ln.clip_words(line, room)]
            fill = style("")
            if self.raised:
                segments = [Segment(s.text, (s.style or fill) + theme.ground) for s in segments]
                fill += theme.ground
        used = sum(cell_len(segment.text) for segment in segments)
        if used < width:
            segments.append(Segment(" " * (width - used), fill))
        return Strip(segments, width)

    # ---------------------------------------------------------------- selecting and copying

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Plain text of what the mouse selected. At most 20,000 lines: the rest of a virtual table stays out."""
        texts = [ln.plain(self._title)] if self._titled else []
        texts += [ln.plain(line).rstrip() for line in self._head]
        texts += [ln.plain(line).rstrip() for line in self._lines[:20_000]]
        return selection.extract("\n".join(texts)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def _selected(self, strip: Strip, content_y: int) -> Strip:
        selection = self.text_selection
        span = None if selection is None else selection.get_span(content_y)
        if span is None:
            return strip
        start, end = span
        end = strip.cell_length if end == -1 else end
        from rich.style import Style

        chosen = strip.crop(start, end)
        return Strip.join(
            [
                strip.crop(0, start),
                Strip([Segment(s.text, (s.style or Style()) + Style(reverse=True)) for s in chosen]),
                strip.crop(end),
            ]
        )

    # ---------------------------------------------------------------- events

    def on_resize(self, event: events.Resize) -> None:
        self._width, self._height = event.size
        self._over = {}
        self._forget()
        self.post_message(self.Resized())

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.scroll_by(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.scroll_by(-3)

    def on_click(self, event: events.Click) -> None:
        if event.y == 0:
            for first, behind, action in self._hot:
                if first <= event.x < behind:
                    event.stop()
                    self.post_message(self.Wanted(action))
                    return
        row = event.y - self._above
        first, end = self._bar
        if end and self._titled and event.x == self._width - 1 and row >= 0:
            self.scroll_to_line(len(self._lines) * row // max(1, self.body_height))
        elif 0 <= row < self.body_height and self.row_action is not None and self.top + row < len(self._lines):
            action = self.row_action(self.top + row)
            if action:
                self.post_message(self.Wanted(action))
