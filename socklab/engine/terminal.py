"""The program's terminal: what it prints, and what is typed to it.

In: our ends of the terminals the program was launched with. Out: `Output` events. Belongs to the lab thread. Bytes
pass unaltered; whoever shows them makes them visible.
"""

from __future__ import annotations

import os
import selectors
from collections.abc import Callable
from functools import partial

from socklab.core.errors import SocklabError
from socklab.engine import find_program
from socklab.engine.program import Launched
from socklab.engine.stream import Stream
from socklab.protocol import events as ev

_LONGEST = 4096
"""Bytes of stderr that are looked at together: a line may come in pieces."""


def follow(
    selector: selectors.BaseSelector, fd: int, show: Callable[[bytes], object], ended: Callable[[], object]
) -> None:
    """Call `show` with all that can be read from `fd`, as it comes, then `ended`."""

    def read(_mask: int) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:  # EIO: the last process that had the terminal open is gone
            data = b""
        if data:
            show(data)
        else:
            selector.unregister(fd)
            ended()

    os.set_blocking(fd, False)
    selector.register(fd, selectors.EVENT_READ, read)


class Terminal:
    """`not_started` is called with the reason when exec failed: the launched child reports it before it ends;
    `python` is the interpreter that runs the program, or "": a module that it misses is worth a word."""

    def __init__(
        self,
        launched: Launched,
        stream: Stream,
        selector: selectors.BaseSelector,
        not_started: Callable[[str], None],
        python: str = "",
    ) -> None:
        self._stream = stream
        self._typed = launched.out
        self._python = python
        self._errors = b""
        self._open = {launched.out, launched.err}
        for fd, name in ((launched.out, "out"), (launched.err, "err")):
            follow(selector, fd, partial(self._show, name), partial(self._open.discard, fd))
        said = launched.failed
        follow(selector, said, lambda number: not_started(os.strerror(int(number))), partial(os.close, said))

    @property
    def closed(self) -> bool:
        """Nobody can print any more, and everything printed has been told."""
        return not self._open

    def _show(self, name: str, data: bytes) -> None:
        self._stream.put(ev.Output(self._stream.now(), "server", name, data))
        if name == "err" and self._python:
            self._errors = (self._errors + data)[-max(_LONGEST, len(data)) :]
            missing = find_program.missing_module(self._errors, self._python)
            if missing is not None:
                self._python = ""  # said once
                self._stream.notice("info", *missing)

    def write(self, data: bytes) -> None:
        """Type to the program. Raises SocklabError when it cannot take input (any more)."""
        try:
            if self._typed not in self._open:
                raise SocklabError("The program has closed its terminal.")
            taken = os.write(self._typed, data)
            self._show("in", data[:taken])
        except OSError as error:
            raise SocklabError(f"The program does not take input: {error.strerror}.") from error
