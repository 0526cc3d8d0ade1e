"""Events and commands to lines of JSON, and lines to events.

In: messages, or lines. Out: lines, or events. Commands are read in `commands`, which can say the id of a broken one.
"""

from __future__ import annotations

import msgspec

from socklab.protocol import events as ev

_encoder = msgspec.json.Encoder()
_event_decoder = msgspec.json.Decoder(ev.AnyEvent)


def encode(message: msgspec.Struct) -> bytes:
    """One line of JSON, newline included."""
    return _encoder.encode(message) + b"\n"


def encode_batch(messages: list[ev.Event]) -> bytes:
    """Many events as lines; one pass, for the free-running path."""
    return _encoder.encode_lines(messages)


def decode_event(line: bytes | str) -> ev.AnyEvent:
    """Raises msgspec.ValidationError or msgspec.DecodeError on a line that is no event of this format."""
    event: ev.AnyEvent = _event_decoder.decode(line)
    return event


def decode_events(lines: bytes) -> list[ev.AnyEvent]:
    """Events of newline-separated JSON."""
    return _event_decoder.decode_lines(lines)
