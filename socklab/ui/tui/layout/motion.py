"""What plays over a picture once it is on the screen: things that moved, on their way, for less than half a second.

In: each picture as it is shown. Out: overlays for its LineView. The picture itself is always there first and whole;
what moves lies over it, and any key, click or other picture takes it away. No timer runs while nothing moves. What
may move is said by ui/stage/movement.py.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from textual.timer import Timer

    from socklab import state as st
    from socklab.ui.stage.movement import Move, Still
    from socklab.ui.tui.widgets.line_view import LineView

LASTS_S = 0.4
FRAME_S = LASTS_S / 12


class Animated(Protocol):
    """What is needed of the app."""

    animated: bool


class Motion:
    """Of one view at a time."""

    def __init__(self) -> None:
        self._before: Still | None = None
        """The last picture at which everything had been told."""
        self._from: Still | None = None
        """The picture that what moves now began in."""
        self._moves: tuple[Move, ...] = ()
        self._view: LineView | None = None
        self._timer: Timer | None = None
        self._began = 0.0
        self._ending = False
        """A key came."""

    @property
    def playing(self) -> bool:
        return self._timer is not None

    def shown(self, view: LineView, still: Still, *, past: bool, masked: bool) -> None:
        """The view shows this now. In the past nothing moves; in what a question masks nothing does until it is there
        to see."""
        if past or not cast(Animated, view.app).animated:
            self.forget()
            return
        if masked:
            self.skip()
            return
        from socklab.ui.stage.movement import moves

        before = self._before
        if self._from is not None:
            if view is self._view and not self._ending and moves(self._from, still) == self._moves:
                return  # something else changed meanwhile
            self.skip()
        if not _settled(still.state):
            return
        if before is None or _differ(before, still):
            self._before = still
            if before is not None and (found := moves(before, still)):
                self._begin(view, before, found)

    def end(self) -> None:
        """A key: no further frame. What lies over the picture goes with the next one, which the key most often brings:
        drawn away before it, it would keep that waiting. Where none comes it goes one interval later."""
        if self._timer is not None:
            self._ending = True
            self._timer.reset()

    def skip(self) -> None:
        """Show the picture as it stands, now."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._view is not None:
            self._view.lay({})
        self._view = self._from = None
        self._ending = False
        self._moves = ()

    def forget(self) -> None:
        """And let nothing move from it into the next."""
        self.skip()
        self._before = None

    def _begin(self, view: LineView, before: Still, found: tuple[Move, ...]) -> None:
        self._view, self._from, self._moves = view, before, found
        self._began = time.monotonic()
        # The first frame comes one interval from now: the picture has been written by then.
        self._timer = view.set_interval(FRAME_S, self._tick)

    def _tick(self) -> None:
        """The next frame, by the clock: on a busy machine there are fewer, and it ends all the same."""
        from socklab.ui.stage.movement import overlay

        passed = time.monotonic() - self._began
        if self._view is None or self._ending or passed >= LASTS_S:
            self.skip()
        else:
            self._view.lay(overlay(self._moves, (passed - FRAME_S) / (LASTS_S - 2 * FRAME_S)))


def _settled(state: st.LabState) -> bool:
    """All of the stop has been told, or of what came while the program sleeps; it does not run on meanwhile."""
    return state.ready is not None and state.ready.wants != "pause"


def _differ(before: Still, still: Still) -> bool:
    """Another moment, not only packets more: those are told before what they brought about."""
    a, b = before.state, still.state
    return (
        a.stops != b.stops
        or a.tables is not b.tables
        or a.descriptors is not b.descriptors
        or a.calls is not b.calls
        or before.picture.columns != still.picture.columns
    )
