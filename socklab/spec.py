"""What a run is asked to be: the first line on the engine's command socket."""

from __future__ import annotations

import msgspec


class RunSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of the engine. Either `lesson` (a lesson's folder) or `argv` (a program of the user's own)."""

    lesson: str = ""
    """Absolute path of the lesson's folder."""
    language: str = ""
    """c or python; empty = c where a compiler is found, python otherwise."""
    argv: tuple[str, ...] = ()
    cwd: str = ""
    network: str = "auto"
    """auto (the best the machine allows), two-hosts, private or machine."""
    free: bool = False
    """Run from the start without holding at any stop; no table is read at stops."""
    unattended: bool = False
    """Nobody is there to act or to answer: the lesson's own actions are done as soon as their moment comes."""
    capture: str = ""
    """Path of a pcap file to write what crosses the wire to."""
    run_dir: str = ""
    """A directory of this run alone; whoever outlives the other removes it."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunSpec)


def encode(spec: RunSpec) -> bytes:
    return _encoder.encode(spec) + b"\n"


def decode(line: bytes) -> RunSpec:
    """Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _decoder.decode(line)
