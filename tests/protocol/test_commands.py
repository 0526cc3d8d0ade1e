"""Commands as lines: ids, and what can be saved of a line that is none."""

from __future__ import annotations

import pytest

from socklab.protocol import codec, commands as cmd
from socklab.protocol.rows import Want


@pytest.mark.parametrize(
    "command",
    [
        cmd.Step(tid=5, over=True, id=1),
        cmd.Continue("accept", id=2),
        cmd.Pause(id=3),
        cmd.Others(run=True, tid=4, id=4),
        cmd.Do('send a "x"', id=5),
        cmd.Answer("ESTABLISHED", id=6),
        cmd.Evidence(wants=(Want("socket", "server", 77),), id=7),
        cmd.Look(argv=("ss", "-ltn"), stdin=b"x", id=8),
        cmd.Focus(8, id=11),
        cmd.Input(b"\x00\xff", id=9),
        cmd.Quit(id=10),
    ],
)
def test_every_command_keeps_its_id_on_the_way(command: cmd.AnyCommand) -> None:
    assert cmd.decode_command(codec.encode(command)) == command


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (b'{"c":"nonsense","id":7}', 7),
        (b'{"c":"do","id":8,"line":3}', 8),
        (b'{"c":"x"}', 0),
        (b'{"id":"x"}', 0),
        (b"{", 0),
    ],
)
def test_a_line_that_is_no_command_can_still_be_refused_by_its_id(line: bytes, number: int) -> None:
    assert cmd.id_of(line) == number
