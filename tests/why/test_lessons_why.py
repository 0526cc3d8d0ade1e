"""Asked why, the lessons' own runs answer with the packet, the call and the line that the stream itself holds."""

from __future__ import annotations

import pytest

from socklab import why
from socklab.packets import packet_log
from socklab.packets.decode import FIN, RST
from socklab.protocol import events as ev
from socklab.state import CLOSE_WAIT, ESTABLISHED, TIME_WAIT, History
from tests.why.support import asked, history_of, links, recorded, text, unknown

pytestmark = pytest.mark.kernel


def stop_at(history: History, line: str) -> int:
    """The first stop whose state knows of an act that begins so."""
    return next(
        stop
        for stop in range(1, history.now.stops + 1)
        if any(acted.line.startswith(line) for acted in history.at(stop).acted)
    )


def line_of(history: History, words: str) -> int:
    """The line of the source that has these words, read off the source itself."""
    (source,) = history.now.sources.values()
    return next(number for number, text in enumerate(source.text.splitlines(), 1) if words in text)


def rst_of(history: History, client: str) -> int:
    """Number of the RST packet to or from a client, found by its port."""
    local = history.now.clients[client].local
    passed = (packet_log.at(history.now.packets, place) for place in range(len(history.now.packets)))
    return next(each.packet.id for each in passed if each.segment.flags & RST and each.client == local)


def test_the_three_closes_of_the_reset_lesson_each_have_their_own_reason() -> None:
    history = history_of(recorded("reset"))
    now = history.now
    unheard = links(now, "client a", history)
    assert unheard[0].packet == rst_of(history, "a")
    assert any("5 bytes had come and were never read" in link.what for link in unheard)
    assert any('send a "hello"' in link.what for link in unheard), "who had sent them"
    closed = next(link for link in unheard if "close(4)" in link.what)
    assert closed.line == line_of(history, "close(unheard)")

    aborted = links(now, f"packet {rst_of(history, 'b')}", history)
    assert [link.line for link in aborted if link.call] == [
        line_of(history, "close(aborted)"),
        line_of(history, "setsockopt(aborted"),
    ]
    assert any("SO_LINGER was on" in link.what for link in aborted) and not unknown(aborted)

    heard = asked(now, "client c", history)
    assert not any("RST" in link.what for chain in heard for link in chain.links)
    end = next(chain for chain in heard if "end of stream" in chain.title)
    assert end.links[-1].line == line_of(history, "close(heard)")


def test_a_refused_client_is_told_that_nobody_listened_then_though_somebody_does_now() -> None:
    history = history_of(recorded("lifecycle"))
    now = history.now
    assert now.listeners, "there is a listener at the end"
    refused = links(now, "client a", history)
    assert refused[0].packet == rst_of(history, "a")
    assert any("no socket of the host was in LISTEN on port 8080" in link.what for link in refused)
    assert refused[-1].what.endswith("connect a") and not unknown(refused)


def test_every_byte_a_client_received_leads_to_the_write_that_holds_it() -> None:
    history = history_of(recorded("lifecycle"))
    now = history.now
    client = now.clients["b"]
    writes = [call for call in now.calls if call.entered.nr == 1 and call.returned and call.returned.result == 78]
    for byte in (1, 17, client.received):
        (chain,) = asked(now, f"client b {byte}", history)
        packet = next(link for link in chain.links if link.packet)
        written = chain.links[-1]
        assert written.call == writes[0].number + 1
        assert f"byte {byte} of {client.received}" in written.what
        assert written.line == line_of(history, "write(") and written.stop > 0
        carried = next(p for p in now.packets if p.id == packet.packet)
        assert client.tail[byte - 1 : byte] in carried.data
    beyond = links(now, f"client b {client.received + 1}", history)
    assert unknown(beyond)


def test_who_closed_first_is_who_has_time_wait() -> None:
    history = history_of(recorded("goodbye"))
    now = history.now
    found = {
        row.local: (host, row)
        for host, table in now.tables.items()
        for row in table.rows.values()
        if row.state == TIME_WAIT
    }
    assert len(found) == 2
    for local, (host, row) in found.items():
        (chain,) = why.why(now, why.Subject("sockets", host, row.id), history)
        first, second = (next(p for p in now.packets if p.id == link.packet) for link in chain.links if link.packet)
        assert "closed first" in chain.links[0].what
        own = packet_log.at(now.packets, packet_log.index_of(now.packets, second.id))
        assert own.segment.source_end == local and own.segment.flags & FIN
        assert second.t < first.t, "the chain goes backwards"


def test_close_wait_is_the_other_ends_fin_and_a_descriptor_that_is_open() -> None:
    history = history_of(recorded("goodbye"))
    stop = stop_at(history, "half-close a")
    state = history.at(stop)
    row = next(row for row in state.table_of("server").rows.values() if row.state == CLOSE_WAIT)
    (chain,) = why.why(state, why.Subject("sockets", "server", row.id), history)
    assert "descriptor 4 is open" in chain.links[0].what
    assert chain.links[1].packet and "FIN" in chain.links[1].what
    assert chain.links[2].what.endswith("half-close a")


def test_the_full_queue_names_who_waits_what_set_its_limit_and_which_syns_were_dropped() -> None:
    history = history_of(recorded("backlog"))
    stop = next(
        stop
        for stop in range(1, history.now.stops)
        if (at := history.at(stop)).listeners and at.counters["server"].get("ListenOverflows", 0) - _first(at) == 5
    )
    state = history.at(stop)
    (listener,) = state.listeners
    _, depth, limit = asked(state, "queue 1", history)
    waiting = {link.what.partition("'")[0] for link in depth.links if link.packet}
    rows = [row for row in state.table_of("server").rows.values() if row.state == ESTABLISHED and not row.inode]
    names = {client.local: f"client {client.name}" for client in state.clients.values()}
    assert waiting == {names[row.remote] for row in rows} and len(waiting) == listener.rx_queue == 5
    assert limit.links[0].line == line_of(history, "listen(")
    dropped = links(state, "ListenOverflows", history)
    lost = {link.packet for link in dropped if "no SYN-ACK answers it" in link.what}
    clients = {packet_log.at(state.packets, packet_log.index_of(state.packets, number)).client for number in lost}
    connecting = {client.local for client in state.clients.values() if client.phase == "connecting"}
    assert len(lost) == 5 and clients == connecting


def _first(state: object) -> int:
    return int(state.counters_at_start["server"].get("ListenOverflows", 0))  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["lifecycle", "reset", "goodbye"])
def test_no_link_is_of_a_later_stop_than_the_state_that_was_asked(name: str) -> None:
    stream = recorded(name)
    history = history_of(stream)
    times = [(min(history.stop_of(event), history.now.stops), event.t) for event in stream]
    for stop in range(1, history.now.stops + 1):
        state = history.at(stop)
        latest = max(t for seen, t in times if seen <= stop)
        for panel in why.PANELS:
            for subject, _ in why.subjects(state, panel):
                for chain in why.why(state, subject, history):
                    for link in chain.links:
                        assert link.stop <= stop and link.t <= latest, (stop, subject, link)


def test_a_recording_without_its_history_says_the_same_but_for_stops_and_earlier_readings() -> None:
    history = history_of(recorded("lifecycle"))
    now = history.now
    with_it, without = (links(now, "client b 1", given) for given in (history, None))
    assert [link.call for link in with_it] == [link.call for link in without]
    assert all(link.stop for link in with_it) and not any(link.stop for link in without)


def test_a_program_where_clients_live_is_not_traced_and_that_is_said() -> None:
    history = history_of(recorded("lifecycle"))
    assert "not known: what it does with its sockets" in text(history.now, "client curl", history)
    last = history.now.clients["curl"]
    assert last.argv and isinstance(last, ev.Client)


def test_the_kernels_own_reason_is_told_where_it_was_seen_and_agrees_with_what_was_recorded() -> None:
    history = history_of(recorded("reset"))
    now = history.now
    if not len(now.resets):
        pytest.skip("the kernel's reasons can't be read here")
    reasons = {}
    for client in "ab":
        found = links(now, f"packet {rst_of(history, client)}", history)
        assert found[0].what.startswith("the kernel's own reason: ") and not unknown(found)
        assert found[0].stop == next(link.stop for link in found if "close(4)" in link.what)
        reasons[client] = found[0].what.split()[4].rstrip(",")
    assert reasons["a"] == "TCP_ABORT_ON_CLOSE"
    assert reasons["b"] != reasons["a"]
