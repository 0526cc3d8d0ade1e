"""The byte-order panel reads a sockaddr's bytes as the C library's own functions do."""

from __future__ import annotations

import socket
import sys

import pytest

from socklab.protocol import events as ev
from socklab.ui.tui.panels import registry
from socklab.ui.tui.panels.byteorder import ByteOrderPanel
from socklab.ui.view.lines import View, width
from tests.ui.tui.panel_support import ACCEPT, BIND, STACK, Scene, sockaddr_in
from tests.ui.tui.panel_words import roles_of, text

PANEL = ByteOrderPanel()
VIEW = View(76, 12)


def bound(host: str, port: int) -> Scene:
    return Scene().after_socket().resume().enter(BIND, 3, STACK, 16, mem=(ev.Mem(STACK, sockaddr_in(host, port)),))


@pytest.mark.skipif(sys.byteorder != "little", reason="the other order is this machine's")
@pytest.mark.parametrize(("host", "port"), [("10.0.0.1", 8080), ("127.0.0.1", 80), ("192.168.1.20", 54321)])
def test_both_orders_are_those_of_htons_and_htonl(host: str, port: int) -> None:
    lines = PANEL.render(bound(host, port).state, VIEW)
    said = text(lines)
    swapped = socket.inet_ntoa(socket.inet_aton(host)[::-1])
    row = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.strip().startswith("sin_")}
    assert row["sin_port"][:2] == [str(port), str(socket.htons(port))]
    assert row["sin_addr"][:2] == [host, swapped]
    assert row["sin_family"][:2] == [str(socket.htons(socket.AF_INET)), str(int(socket.AF_INET))]
    assert row["sin_port"][2] == str(port), "the kernel reads the port in network order"
    assert roles_of(lines, f"{socket.htons(port)}") <= {"dim", ""}
    assert f"{socket.htons(port).to_bytes(2, 'little').hex(' ')}" in said


def test_a_port_with_swapped_bytes_is_told_as_such() -> None:
    said = text(PANEL.render(bound("0.0.0.0", 36895).state, VIEW))
    assert "If 8080 was meant, htons is missing: 36895 is 8080 with its two bytes swapped." in said.replace("\n", " ")
    assert "htons is missing" not in text(PANEL.render(bound("0.0.0.0", 8080).state, VIEW))


@pytest.mark.parametrize(("port", "meant"), [(36895, 8080), (20480, 80), (47635, 5050)])
@pytest.mark.parametrize("panel", ["call", "narration"])
def test_htons_is_asked_about_where_a_bound_port_reads_like_a_usual_one_swapped(
    panel: str, port: int, meant: int
) -> None:
    said = " ".join(text(registry.panel(panel).render(bound("0.0.0.0", port).state, View(56, 14))).split())
    assert f"{port} is {meant} with its two bytes swapped: is htons missing? B shows the bytes." in said


@pytest.mark.parametrize("port", [8080, 80, 54321, 40001, 36896])
def test_of_other_ports_the_call_asks_nothing(port: int) -> None:
    assert "htons" not in text(registry.panel("call").render(bound("0.0.0.0", port).state, View(56, 14)))


def test_an_address_stays_in_sight_at_later_calls() -> None:
    state = bound("10.0.0.1", 8080).resume().returned(BIND, 0).resume().enter(ACCEPT, 3, 0, 0).state
    assert "bind addr" in text(PANEL.render(state, VIEW))


@pytest.mark.parametrize("cells", [38, 50, 76, 120])
def test_no_line_is_too_wide(cells: int) -> None:
    lines = PANEL.render(bound("192.168.100.200", 36895).state, View(cells, 12))
    assert max(map(width, lines)) <= cells
    assert "sin_port" in text(lines)


def test_without_an_address_it_says_so() -> None:
    assert "No call has given" in text(PANEL.render(Scene().before_socket().state, VIEW))
