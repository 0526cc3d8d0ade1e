"""What a run is asked to be: the first line on the engine's command socket."""

from __future__ import annotations

import msgspec


class RunSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """One run of the engine: `lesson` (a lesson's folder), `argv` (a program of the user's own), or `attach`."""

    lesson: str = ""
    """Absolute path of the lesson's folder."""
    language: str = ""
    """c or python; empty = c where a compiler is found, python otherwise."""
    argv: tuple[str, ...] = ()
    attach: int = 0
    """A running process to look at, by its id; it is let go at the end, never killed."""
    children: bool = False
    """With `attach`: its child processes too, and theirs."""
    cwd: str = ""
    environment: dict[str, str] = {}
    """Variables of the program beside those of socklab's own."""
    interrupt_ignored: bool = False
    """The caller ignores SIGINT, as a shell does for a program in the background: so does the program that is run. The
    consumer hears it all the same, so the engine can't see it."""
    network: str = "auto"
    """auto (the best the machine allows), two-hosts, private or machine."""
    free: bool = False
    """Run from the start without holding at any stop; no table is read at stops."""
    until: str = ""
    """A stop condition (socklab.commands.conditions): run on from the start, and hold first where it fits."""
    unattended: bool = False
    """Nobody is there to act or to answer: the lesson's own actions are done as soon as their moment comes."""
    capture: str = ""
    """Path of a pcap file to write what crosses the wire to."""
    run_dir: str = ""
    """A directory of this run alone; whoever outlives the other removes it."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(RunSpec)


def encode(spec: RunSpec) -> bytes:
    try:
        return _encoder.encode(spec) + b"\n"
    except UnicodeEncodeError:
        # Names of files and variables are bytes. Those that are no UTF-8 are surrogates in a string (PEP 383), which
        # the json of the standard library writes and reads as escapes.
        import json

        return json.dumps(msgspec.to_builtins(spec)).encode() + b"\n"


def decode(line: bytes) -> RunSpec:
    """Raises msgspec.ValidationError or msgspec.DecodeError."""
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError:
        import json

        try:
            return msgspec.convert(json.loads(line), RunSpec)
        except ValueError as error:
            raise msgspec.DecodeError(str(error)) from error
