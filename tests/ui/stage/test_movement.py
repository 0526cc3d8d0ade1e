"""What moves on the stage: only what the picture before and the picture now prove to have moved."""

from __future__ import annotations

import re

import pytest

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.stage.drawing import draw
from socklab.ui.stage.movement import MOST, Move, Still, moves, overlay
from socklab.ui.view.lines import Line, laid, plain
from tests.support.streams import ACK, FIN, PSH
from tests.ui.stage.moments import Lab
from tests.ui.tui.panel_support import ACCEPT, CLOSE, PID, READ, RECVFROM, STACK

SIZES = [(80, 12), (120, 17)]
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
MSG_TRUNC = 0x20

size_of = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


class Story:
    """A lab that is looked at between its events."""

    def __init__(self, size: tuple[int, int] = (120, 17)) -> None:
        self.lab = Lab()
        self.lab.before_accept()
        self.size = size

    def still(self) -> Still:
        state = self.lab.state
        return Still(state, draw(state, *self.size))

    def row(self, name: str, state: int = st.ESTABLISHED, *, received: int = 0, inode: int = 0) -> ev.SocketRow:
        return self.lab.row(int(self.lab.port_of(name)), state, received=received, inode=inode)

    def waits(self, names: str) -> Story:
        """They wait in the accept queue."""
        for name in names:
            self.lab.ends(name, self.row(name), st.ESTABLISHED)
        self.lab.depth(len(names))
        return self

    def in_handshake(self, names: str) -> Story:
        for name in names:
            self.lab.ends(name, self.row(name, st.NEW_SYN_RECV), st.SYN_SENT, phase="connecting")
        return self

    def accepts(self, name: str, left: int, received: int = 0) -> Story:
        """The call that takes this one: descriptor 4."""
        self.lab.resume()
        self.lab.opened(4, self.row(name, inode=70_077, received=received)).depth(left)
        self.lab.returned(ACCEPT, 4)
        return self

    def reads(self, nr: int = READ, flags: int = 0) -> Story:
        """The program stands before a read of descriptor 4."""
        self.lab.resume().enter(nr, 4, STACK, 512, flags)
        return self

    def held_bytes(self, received: int, name: str = "a", state: int = st.ESTABLISHED) -> Story:
        row = self.row(name, state, inode=70_077, received=received)
        self.lab.tell(ev.Sockets(9, "server", (row,)))
        return self


def cell(still: Still, at: tuple[int, int], cells: int = 1) -> str:
    """What is drawn there."""
    y, x = at
    return plain(still.picture.lines[y])[x : x + cells]


def line_of(still: Still, what: str) -> int:
    return next(n for n, line in enumerate(still.picture.lines) if what in plain(line))


def only(found: tuple[Move, ...]) -> Move:
    assert len(found) == 1, found
    return found[0]


# ---------------------------------------------------------------- connections


@size_of
def test_an_accepted_connection_goes_from_its_slot_to_its_row_and_along_the_arrow_to_the_descriptor(
    size: tuple[int, int],
) -> None:
    story = Story(size).waits("ab")
    before = story.still()
    after = story.accepts("a", 1).still()
    move = only(moves(before, after))
    assert move.span == ("a", "client0 tile")
    assert move.path[0][0] == line_of(before, "accept ") and cell(before, move.path[0]) == "a"
    row = line_of(after, "a ESTABLISHED")
    assert cell(after, move.path[-1]) == "●" and move.path[-1][0] == row
    assert any(y == row and cell(after, (y, x), 3) == "a E" for y, x in move.path)
    for one, next_one in zip(move.path, move.path[1:], strict=False):
        assert max(abs(one[0] - next_one[0]), abs(one[1] - next_one[1])) == 1, "it leaves no cell out"


@size_of
def test_a_completed_handshake_goes_from_the_syn_queue_to_the_accept_queue(size: tuple[int, int]) -> None:
    story = Story(size).waits("a").in_handshake("bc")
    before = story.still()
    after = story.waits("ab").still()
    move = only(moves(before, after))
    assert move.span[0] == "b"
    assert move.path[0][0] == line_of(before, "SYN ") and cell(before, move.path[0]) == "b"
    assert move.path[-1][0] == line_of(after, "accept ") and cell(after, move.path[-1]) == "b"


def test_a_tile_on_its_way_is_in_neither_queue() -> None:
    story = Story().in_handshake("a")
    before = story.still()
    after = story.waits("a").still()
    move = only(moves(before, after))
    syn, accept = move.path[0][0], move.path[-1][0]
    shown = [
        [plain(laid(after.picture.lines[y], overlay([move], t).get(y, ()))) for y in (syn, accept)] for t in (0, 0.99)
    ]
    assert re.search(r"SYN queue +a +$", shown[0][0][:60]) and "queue  · · · · ┊" in shown[0][1]
    assert re.search(r"SYN queue +· +$", shown[1][0][:60]) and "queue  a · · · ┊" in shown[1][1]
    assert "· empty" in plain(after.picture.lines[syn]), "as it stands afterwards"


def test_one_that_accept_was_asleep_for_goes_from_the_syn_queue_to_its_descriptor() -> None:
    story = Story().in_handshake("a")
    story.lab.resume()
    before = story.still()
    story.lab.opened(4, story.row("a", inode=70_077)).returned(ACCEPT, 4)
    after = story.still()
    move = only(moves(before, after))
    assert cell(before, move.path[0]) == "a" and cell(after, move.path[-1]) == "●"


def test_a_connection_that_was_nowhere_before_does_not_move() -> None:
    story = Story()
    before = story.still()
    assert moves(before, story.waits("abc").still()) == ()


def test_another_connection_under_the_same_number_does_not_move() -> None:
    story = Story().waits("a")
    before = story.still()
    port = int(story.lab.port_of("b"))
    story.lab.resume().tell(ev.Client(9, "b", "open", "client", f"10.0.0.2:{port}", "10.0.0.1:8080", 80_000 + port))
    story.lab.opened(4, story.lab.row(port, st.ESTABLISHED, id=story.row("a").id, inode=70_077))
    after = story.lab.depth(0).returned(ACCEPT, 4)
    assert moves(before, Still(after.state, draw(after.state, 120, 17))) == ()


def test_a_connection_that_left_the_queue_without_a_descriptor_does_not_move() -> None:
    story = Story().waits("a")
    before = story.still()
    story.lab.ends("a", None, None, phase="reset")
    assert moves(before, story.waits("").still()) == ()


def test_so_many_move_at_once_and_of_more_none_does() -> None:
    names = "abcdefghi"
    assert len(names) == MOST + 1
    for shown, many in ((names[:MOST], MOST), (names, 0)):
        story = Story((120, 25)).in_handshake(shown)
        story.lab.depth(0, 16)
        before = story.still()
        for name in shown:
            story.lab.ends(name, story.row(name), st.ESTABLISHED)
        story.lab.depth(len(shown), 16)
        assert len(moves(before, story.still())) == many


# ---------------------------------------------------------------- bytes


@size_of
def test_bytes_that_were_read_go_from_the_receive_bar_to_the_calls_result(size: tuple[int, int]) -> None:
    story = Story(size).waits("a").accepts("a", 0, received=18).reads()
    before = story.still()
    story.lab.resume()
    story.held_bytes(0).lab.returned(READ, 18)
    after = story.still()
    move = only(moves(before, after))
    assert move.span == ("18 B", "client0 tile")
    y, x = move.path[0]
    assert y == line_of(after, "a ESTABLISHED") and plain(after.picture.lines[y])[:x].endswith("in ")
    assert any(cell(after, at) == "●" for at in move.path), "through its descriptor"
    assert cell(after, move.path[-1], 4) == "= 18"


@size_of
def test_bytes_that_came_go_from_the_wire_to_the_receive_bar(size: tuple[int, int]) -> None:
    story = Story(size).waits("a").accepts("a", 0)
    before = story.still()
    story.lab.up(40_001, PSH | ACK, 1, 1, payload=REQUEST)
    after = story.held_bytes(18).still()
    move = only(moves(before, after))
    y, x = move.path[0]
    line = plain(after.picture.lines[y])
    assert move.span[0] == "18 B" and line[x + 4 : x + 7] == " a ", "the wire's end at the client"
    y, x = move.path[-1]
    assert plain(after.picture.lines[y])[:x].endswith("in ")
    wire = after.picture.wire_at
    assert {at for _, at in move.path if at < wire} == {x}, "the send buffer is between them, and no part of its way"
    assert wire in {at for _, at in move.path}


def test_a_packet_that_the_wire_kept_goes_on_from_the_middle() -> None:
    story = Story().waits("a").accepts("a", 0)
    story.lab.up(40_001, PSH | ACK, 1, 1, "held", payload=REQUEST)
    before = story.still()
    story.lab.becomes("delivered")
    after = story.held_bytes(18).still()
    y, x = only(moves(before, after)).path[0]
    held = plain(before.picture.lines[y])
    assert held.index("◁[18 B]") <= x <= held.index("◁[18 B]") + 7


def test_bytes_that_a_sleeping_read_took_go_all_the_way_at_once() -> None:
    story = Story().waits("a").accepts("a", 0).reads()
    story.lab.resume()
    before = story.still()
    story.lab.up(40_001, PSH | ACK, 1, 1, payload=REQUEST).returned(READ, 18)
    after = story.still()
    move = only(moves(before, after))
    assert cell(after, move.path[-1], 4) == "= 18"
    assert move.path[0][1] > after.picture.wire_at


def test_what_came_and_what_was_read_are_told_apart() -> None:
    story = Story().waits("a").accepts("a", 0, received=10).reads()
    before = story.still()
    story.lab.resume()
    story.lab.up(40_001, PSH | ACK, 1, 1, payload=REQUEST)
    story.held_bytes(18).lab.returned(READ, 10)
    assert [move.span[0] for move in moves(before, story.still())] == ["18 B", "10 B"]


def test_a_fin_that_came_behind_the_bytes_is_none_of_them() -> None:
    """The kernel counts it as one: Recv-Q was 18 and is 1."""
    story = Story().waits("a").accepts("a", 0, received=18).reads()
    before = story.still()
    story.lab.resume()
    story.lab.up(40_001, FIN | ACK, 19, 1)
    story.held_bytes(1, state=st.CLOSE_WAIT).lab.returned(READ, 18)
    assert only(moves(before, story.still())).span[0] == "18 B"


def test_the_same_bytes_sent_twice_came_once() -> None:
    story = Story().waits("a").accepts("a", 0)
    before = story.still()
    for size in (7, 18, 10):
        story.lab.up(40_001, PSH | ACK, 1, 1, payload=REQUEST[:size])
    assert only(moves(before, story.held_bytes(18).still())).span[0] == "18 B"


@pytest.mark.parametrize(
    ("why", "nr", "flags", "left", "result"),
    [
        ("fewer bytes left the queue than read gave", READ, 0, 5, 18),
        ("more bytes left it than read gave", READ, 0, 0, 7),
        ("the call read nothing", CLOSE, 0, 0, 18),
        ("the bytes were thrown away", RECVFROM, MSG_TRUNC, 0, 18),
        ("the call failed", READ, 0, 18, -11),
    ],
)
def test_bytes_do_not_move_where_the_two_pictures_do_not_prove_it(
    why: str, nr: int, flags: int, left: int, result: int
) -> None:
    story = Story().waits("a").accepts("a", 0, received=18).reads(nr, flags)
    before = story.still()
    story.lab.resume()
    story.held_bytes(left).lab.returned(nr, result)
    assert moves(before, story.still()) == (), why


@pytest.mark.parametrize("fate", ["dropped", "held", "delayed", ""])
def test_bytes_of_a_packet_that_was_not_delivered_do_not_move(fate: str) -> None:
    story = Story().waits("a").accepts("a", 0)
    before = story.still()
    story.lab.up(40_001, PSH | ACK, 1, 1, fate, payload=REQUEST)
    assert moves(before, story.held_bytes(18).still()) == ()


def test_what_the_server_sent_does_not_come_to_it() -> None:
    story = Story().waits("a").accepts("a", 0)
    before = story.still()
    story.lab.down(40_001, PSH | ACK, 1, 1, payload=REQUEST)
    assert moves(before, story.held_bytes(18).still()) == ()


def test_a_packet_that_the_program_has_not_got_does_not_move() -> None:
    story = Story().waits("a").accepts("a", 0)
    before = story.still()
    story.lab.up(40_001, FIN | PSH | ACK, 1, 1, payload=REQUEST)
    assert moves(before, story.held_bytes(0).still()) == (), "it may have come too early, or not fit"


# ---------------------------------------------------------------- from which picture to which


def test_nothing_moves_where_several_stops_or_calls_lie_between_the_pictures() -> None:
    story = Story().waits("a")
    before = story.still()
    after = story.accepts("a", 0).still()
    assert moves(before, after)
    story.lab.tell(ev.Held(9, PID, "return"))
    assert moves(before, story.still()) == (), "two stops"
    story = Story().waits("a")
    before = story.still()
    story.lab.resume().enter(CLOSE, 9, held=False)
    story.lab.enter(CLOSE, 9, held=False)
    story.lab.opened(4, story.row("a", inode=70_077)).depth(0).returned(ACCEPT, 4)
    assert moves(before, story.still()) == (), "two calls at one go"


def test_nothing_moves_backwards() -> None:
    story = Story().waits("a")
    before = story.still()
    after = story.accepts("a", 0).still()
    assert moves(after, before) == ()


def test_nothing_moves_into_a_picture_of_another_width_or_with_other_boxes() -> None:
    story = Story().waits("a")
    before = story.still()
    after = story.accepts("a", 0).still()
    for size in ((119, 17), (80, 17)):
        assert moves(before, Still(after.state, draw(after.state, *size))) == ()
    assert moves(before, Still(after.state, draw(after.state, 120, 3))) == (), "below its last line is nothing"
    story = Story().waits("a")
    before = story.still()
    story.lab.tell(ev.Forked(9, PID, PID + 1, "fork"))
    assert moves(before, story.accepts("a", 0).still()) == ()


def test_what_is_not_drawn_does_not_move() -> None:
    names = "abcdefgh"
    story = Story((80, 7)).waits(names)
    before = story.still()
    after = story.accepts("a", 7)
    assert len(moves(before, after.still())) <= 1
    story = Story((80, 12))
    story.lab.depth(0, 128)
    story.waits("ab").lab.depth(2, 128)
    before = story.still()
    story.accepts("a", 1).lab.depth(1, 128)
    assert moves(before, story.still()) == (), "of a queue drawn as a bar nobody has a slot"


# ---------------------------------------------------------------- at a moment

LINE: Line = (("│", "rule"), ("4  socket", ""), ("●", "strong"), ("──▶ ", "strong"), ("a ESTAB", ""))


def test_what_moves_lies_over_the_picture_and_moves_nothing_else() -> None:
    tile = ("a", "client0 tile")
    assert plain(laid(LINE, [(12, tile)])) == "│4  socket●─a▶ a ESTAB"
    assert plain(laid(LINE, [(0, tile), (21, ("18 B", ""))])) == "a4  socket●──▶ a ESTA18 B"
    assert plain(laid((("ab", ""),), [(4, tile)])) == "ab  a"
    assert plain(laid((("a界b", ""),), [(2, tile)])) == "a ab", "half of a wide character is a blank"


def test_it_is_at_its_beginning_first_and_at_its_end_last() -> None:
    move = Move(("a", ""), ((3, 9), (4, 8), (5, 7)))
    seen = [overlay([move], t / 10) for t in range(11)]
    assert seen[0] == {3: ((9, ("a", "")),)} and seen[10] == {5: ((7, ("a", "")),)}
    lines = [next(iter(each)) for each in seen]
    assert lines == sorted(lines) and set(lines) == {3, 4, 5}
