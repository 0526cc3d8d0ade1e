"""Of several packets between two stops the arrow shows what the lesson speaks of: what a hand let go, a closed window,
never a copy that the wire dropped beside something that got through."""

from __future__ import annotations

import re

from socklab import state as st
from socklab.protocol import events as ev
from socklab.ui.stage.drawing import draw
from tests.support.streams import ACK, FIN, PSH, SYN
from tests.support.wirescene import SCALE_7
from tests.ui.stage.moments import Lab
from tests.ui.stage.test_drawing import line_of, text
from tests.ui.tui.panel_support import READ, STACK


def last_ack() -> Lab:
    """Client a's last ACK is held; the SYN-ACK is sent again, and the wire drops the copy."""
    lab = Lab()
    lab.before_accept()
    lab.up(40_001, SYN, 0, window=64240, options=SCALE_7)
    lab.down(40_001, SYN | ACK, 0, 1, window=65160, options=SCALE_7)
    lab.up(40_001, ACK, 1, 1, fate="held")
    lab.ends("a", lab.row(40_001, st.SYN_RECV), st.ESTABLISHED)
    lab.down(40_001, SYN | ACK, 0, 1, fate="dropped", window=65160, options=SCALE_7)
    return lab


def test_what_a_hand_delivered_last_is_shown_and_not_the_copy_that_the_wire_dropped() -> None:
    lab = last_ack()
    ack = lab.number - 1
    lab.becomes("delivered", ack).ends("a", lab.row(40_001, st.ESTABLISHED), st.ESTABLISHED)  # type: ignore[attr-defined]
    line = line_of(text(draw(lab.state, 120, 17)), "a ESTABLISHED")
    assert re.search(r"◀─ ACK", line), line
    assert "✗" not in line


def test_what_was_delivered_by_hand_gives_way_to_what_crosses_later() -> None:
    lab = last_ack()
    lab.becomes("delivered", lab.number - 1).up(40_001, PSH | ACK, 1, 1, payload=b"hello")
    assert "◀─ 5 B +" in line_of(text(draw(lab.state, 120, 17)), "a SYN_RECV")


def test_what_a_hand_drops_is_shown_as_dropped() -> None:
    lab = last_ack()
    lab.becomes("dropped", lab.number - 1)
    assert re.search(r"✗─ ACK", line_of(text(draw(lab.state, 120, 17)), "a SYN_RECV"))


def test_a_packet_kept_since_before_the_program_ran_is_shown_when_it_is_delivered() -> None:
    lab = last_ack()
    ack = lab.number - 1
    lab.resume().enter(READ, 4, STACK, 512)
    lab.up(40_001, PSH | ACK, 1, 1, fate="dropped", payload=b"hello").becomes("delivered", ack)
    assert re.search(r"◀─ ACK", line_of(text(draw(lab.state, 120, 17)), "a SYN_RECV"))


def test_a_dropped_copy_is_shown_where_nothing_else_crossed() -> None:
    lab = last_ack()
    lab.becomes("delivered", lab.number - 1).resume().enter(READ, 4, STACK, 512)
    lab.down(40_001, SYN | ACK, 0, 1, fate="dropped", window=65160, options=SCALE_7)
    assert re.search(r"SYN-ACK ↻ ─✗", line_of(text(draw(lab.state, 120, 17)), "a SYN_RECV"))


def test_a_goodbye_tells_more_than_a_packet_that_a_delay_kept_a_while() -> None:
    lab = Lab().accepted().resume().enter(READ, 4, STACK, 512)
    lab.rules("delay 20")
    lab.up(40_001, FIN | ACK, 1, 1, fate="delayed").becomes("delivered")
    lab.down(40_001, ACK, 1, 2, fate="delayed").becomes("delivered")
    assert "◀─ FIN-ACK" in line_of(text(draw(lab.state, 120, 17)), "a ESTABLISHED")


def test_a_closed_window_is_shown_rather_than_the_bytes_it_keeps_back_until_it_opens() -> None:
    lab = Lab().accepted().resume().enter(READ, 4, STACK, 512)
    lab.down(40_001, PSH | ACK, 1, 1, payload=b"x" * 128).up(40_001, ACK, 1, 129, window=0)
    for cells in (80, 120):
        assert "◀─ window 0 " in line_of(text(draw(lab.state, cells, 17)), "a ESTABLISHED")
    lab.up(40_001, ACK, 1, 129, window=500)
    assert re.search(r"128 B .*─▶", line_of(text(draw(lab.state, 120, 17)), "a ESTABLISHED"))


def neighbour(state: int = st.ESTABLISHED) -> Lab:
    """A program on the server's own host is connected, to 127.0.0.1."""
    lab = Lab().accepted().resume()
    row = ev.SocketRow(77, 2, "127.0.0.1:8080", "127.0.0.1:41724", state, 78, 0, 70_099)
    lab.opened(5, row)
    return lab.enter(READ, 5, STACK, 512)


def test_a_connection_within_the_servers_host_has_no_wire_and_the_whole_address() -> None:
    lines = text(draw(neighbour().state, 120, 17))
    assert re.search(r"┄lo, no wire┄+ +127\.0\.0\.1:41724$", line_of(lines, "127.0.0.1:41724"))
    assert re.search(r"┄lo, no wire┄ :41724$", line_of(text(draw(neighbour().state, 80, 12)), "+5 "))
    assert "lo," not in "".join(text(draw(neighbour(st.TIME_WAIT).state, 120, 17))), "it is over"


def test_a_folded_row_names_whom_it_stands_for() -> None:
    lab = Lab()
    lab.before_accept()
    for name in "bfig":  # the kernel's order need not be the alphabet's
        lab.ends(name, lab.row(lab.port_of(name), st.ESTABLISHED), st.ESTABLISHED)
    lab.resume().enter(READ, 3, STACK, 512)
    lines = "\n".join(text(draw(lab.state, 80, 5)))
    named = re.search(r"  (.*)  (\d) more ESTABLISHED", lines)
    assert named and len(re.findall(r"\b[a-z]\b", named[1])) == int(named[2]), lines
    lab = Lab()
    lab.before_accept()
    for name in "bcde":
        lab.ends(name, lab.row(lab.port_of(name), st.ESTABLISHED), st.ESTABLISHED)
    lab.resume().enter(READ, 3, STACK, 512)
    assert "b … e  4 more ESTABLISHED" in "\n".join(text(draw(lab.state, 80, 5)))
