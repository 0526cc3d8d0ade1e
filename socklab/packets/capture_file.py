"""What crossed the wire, as a capture file: from a recorded stream, or from the state of a living one.

In: events, lines of `--json`, or a LabState. Out: a pcap file that Wireshark and tshark open, each packet at the time
of day it entered the wire. Never decodes a packet: a malformed one is written as it is.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

from socklab import state as st
from socklab.core.errors import SocklabError, UsageError
from socklab.core.plural import counted
from socklab.core.text import safe
from socklab.packets import pcap
from socklab.protocol import codec, events as ev

_WHAT_A_STREAM_IS = "A stream is what `socklab lesson NAME --json` or `socklab run --json` writes."


def packets(stream: Iterable[ev.Event], file: BinaryIO) -> int:
    """Write the packets of a stream of events; returns how many. Their times count from its header."""
    file.write(pcap.HEADER)
    started_ns = count = 0
    for event in stream:
        if isinstance(event, ev.Header):
            started_ns = event.started_ns
        elif isinstance(event, ev.Packet):
            file.write(pcap.record(_time(started_ns, event), event.data, max(event.length, len(event.data))))
            count += 1
    return count


def state_packets(state: st.LabState, file: BinaryIO) -> int:
    """Write the packets that a state still knows (the last tens of thousands of a long run)."""
    head: list[ev.Event] = [state.header] if state.header is not None else []
    return packets([*head, *state.packets], file)


def write(state: st.LabState, path: str) -> str:
    """Write the packets that a state still knows to the file; says how many. Raises UsageError."""
    target = Path(path).expanduser()
    try:
        with target.open("wb") as file:
            return _written(state_packets(state, file), str(target))
    except OSError as error:
        raise UsageError(f"{safe(str(target))} cannot be written: {error.strerror}.") from error


def _written(count: int, target: str) -> str:
    return f"{counted(count, 'packet')} written to {safe(target)}."


def _time(started_ns: int, packet: ev.Packet) -> int:
    """Nanoseconds since the epoch, within what the format can hold, whatever a recording says."""
    return min(max(0, started_ns + packet.t), ((1 << 32) - 1) * 1_000_000_000)


def read_stream(path: Path) -> Iterator[ev.AnyEvent]:
    """The events of a file that `--json` wrote. Raises SocklabError naming the line that is none."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    yield codec.decode_event(line)
                except (msgspec.ValidationError, msgspec.DecodeError) as error:
                    if not line.endswith(b"\n"):
                        return  # the lab was killed while it wrote its last line
                    raise SocklabError(
                        f"{safe(str(path))}, line {number}: this is no event of a lab ({safe(str(error))}).",
                        fix=_WHAT_A_STREAM_IS,
                    ) from error
    except OSError as error:
        raise UsageError(f"{safe(str(path))} cannot be read: {error.strerror}.") from error


def to_pcap(recording: Path, target: Path) -> int:
    """Write the packets of a recorded stream to `target`; returns how many. Raises SocklabError, UsageError."""
    stream = read_stream(recording)
    first = next(stream, None)  # a file that is no stream leaves no empty capture behind
    if not isinstance(first, ev.Header):
        raise SocklabError(
            f"{safe(str(recording))} does not begin with a lab's header.",
            fix=_WHAT_A_STREAM_IS,
        )
    try:
        with target.open("wb") as file:
            return packets(itertools.chain([first], stream), file)
    except OSError as error:
        raise UsageError(f"{safe(str(target))} cannot be written: {error.strerror}.") from error


def show(recording: str, target: str) -> int:
    """`socklab export`: write the capture and say on stderr what is in it."""
    count = to_pcap(Path(recording), Path(target))
    print(_written(count, target), file=sys.stderr)
    return 0
