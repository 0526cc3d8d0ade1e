"""Verb lines, carried out: clients, commands, settings, the wire.

In: lines of the student's and of the lesson's. Out: `Acted`, and whatever the clients, commands and the wire tell of
themselves. Belongs to the lab thread. Never decides when to act.
"""

from __future__ import annotations

import selectors
import signal
import socket
import time
from collections.abc import Callable, Generator
from itertools import islice
from typing import TypeAlias

import msgspec

from socklab.commands import actions
from socklab.core.errors import MachineError, SocklabError
from socklab.engine.client_commands import ClientCommands
from socklab.engine.clients import Address, Clients
from socklab.engine.network.topology import Topology
from socklab.engine.network.wiretap import Wiretap
from socklab.engine.stream import Stream
from socklab.protocol import events as ev
from socklab.state import LabState

Acting: TypeAlias = Generator[None, None, SocklabError | None]
"""An action that is carried out a part at each `next`; it returns why it was refused, or None."""


class Actor:
    """All that can be done beside the program. `state` folds what has been told, `look` reads everything first."""

    def __init__(
        self,
        stream: Stream,
        selector: selectors.BaseSelector,
        topology: Topology,
        state: Callable[[], LabState],
        look: Callable[[], LabState],
        port: int,
        limit: tuple[int, int] | None,
        *,
        in_lesson: bool,
        kept: frozenset[str] = frozenset(),
    ) -> None:
        """`kept`: names of the lesson's clients; one that a student makes gets such a name only while it is offered."""
        self.clients = Clients(
            stream,
            selector,
            self._target,
            self._client_address,
            self._name_client,
            topology.enter,
            limit[1] if limit is not None else None,  # the engine has raised its own to that
        )
        hosts = [each for host in topology.hosts for each in (host.name, *host.addresses)]
        self.commands = ClientCommands(
            stream, selector, topology.enter, limit, ("localhost", "127.0.0.1", "::1", *hosts)
        )
        self.wiretap: Wiretap | None = None
        self.acted_at = 0.0
        """When (time.monotonic) the last action was carried out; 0 = there was none."""
        self._stream = stream
        self._topology = topology
        self._state = state
        self._look = look
        self._port = port
        self._in_lesson = in_lesson
        self._kept = kept
        self._set_in_vain = False
        """A kernel setting was refused to the lesson and that was told: the next refusals say nothing new."""

    def act(self, line: str, origin: str) -> Acting:
        """Carry out one verb line, in parts; a refusal becomes a Notice."""
        refused = None
        try:
            action = actions.parse(line)
            self._stream.put(ev.Acted(self._stream.now(), line, origin))
            kept = self._kept_now(action) if origin == "student" else frozenset()
            if kept and isinstance(action, actions.Connect):
                action = self._students_own(action, kept)
            if isinstance(action, actions.Set):
                self._set(action)
            elif isinstance(action, actions.Wire) and self.wiretap is not None:
                self.wiretap.act(action)
            elif isinstance(action, actions.Run):
                self.commands.start(self._topology.resolve_words(action.argv), action.host, kept)
            elif isinstance(action, actions.Close) and self.commands.stop(action.name, signal.SIGTERM):
                pass  # a running program was meant, not a client
            elif isinstance(action, actions.Reset) and self.commands.stop(action.name, signal.SIGKILL):
                pass
            else:
                yield from self.clients.perform(action)
        except SocklabError as error:
            refused = error
            # What a lesson can't do on this machine it teaches without; what the student typed deserves an answer.
            if origin == "student":
                self._stream.notice("warning", error.what, error.fix)
            elif not (line.startswith("set ") and self._set_in_vain):
                self._stream.notice("info", error.what, error.fix)
                self._set_in_vain = line.startswith("set ")
        self._look()
        self.acted_at = time.monotonic()
        return refused

    def _kept_now(self, action: actions.Action) -> frozenset[str]:
        """Names the lesson will give yet: not those in use, nor what it offers now."""
        state = self._state()
        offered = [actions.parse(line) for line in state.offer.lines] if state.offer is not None else []
        if isinstance(action, actions.Run) and any(isinstance(each, actions.Run) for each in offered):
            return frozenset()
        names = {name for each in offered if isinstance(each, actions.Connect) for name in each.names}
        return self._kept - names - state.clients.keys()

    def _students_own(self, action: actions.Connect, kept: frozenset[str]) -> actions.Connect:
        """The same with names that leave the lesson its own. Raises SocklabError when one of those was asked for."""
        for name in action.names:
            if name in kept:
                own = next(actions.free_names({*kept, *self._state().clients}))
                raise SocklabError(
                    f"Client {name} is the lesson's: it will connect later.", fix=f"connect {own}   opens one of yours."
                )
        free = islice(actions.free_names({*kept, *self._state().clients}), action.count)
        return msgspec.structs.replace(action, names=action.names or tuple(free))

    @property
    def busy(self) -> bool:
        """A client or a command is alive: its connection may move by itself."""
        return self.clients.busy or self.commands.busy

    def end(self) -> None:
        """Close every client's socket, kill every command, let go of the wire."""
        self.clients.end()
        self.commands.end()
        if self.wiretap is not None:
            self.wiretap.close()

    def setting_text(self, host: str, name: str) -> tuple[str, bytes]:
        """The file of a host's setting, and what is in it."""
        return self._topology.setting_text(host, name)

    def _set(self, action: actions.Set) -> None:
        if action.value:
            name, value = self._topology.write_setting(action.host, action.name, action.value)
        else:
            name, value = self._topology.read_setting(action.host, action.name)
        self._stream.put(ev.Setting(self._stream.now(), action.host, name, value))

    def _name_client(self, name: str, local: str) -> None:
        if self.wiretap is not None:
            self.wiretap.name(name, local)

    def _target(self) -> Address:
        """Where a client should connect: the program's first listener, or the lesson's port while nothing listens."""
        for row in self._state().listeners:
            host, _, port = row.local.rpartition(":")
            host = host.strip("[]")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            loopback = self._topology.wire is not None and (host.startswith("127.") or host == "::1")
            if loopback and not self._in_lesson:
                return "server", family, host, int(port)  # what listens on loopback is reached from its own host alone
            if host in ("0.0.0.0", "::", "::ffff:0.0.0.0") or loopback:
                # A client on another host knows the server's address only; what listens on loopback is not there.
                return "client", socket.AF_INET, self._topology.address("server"), int(port)
            return "client", family, host, int(port)
        return "client", socket.AF_INET, self._topology.address("server"), self._port

    def _client_address(self, family: int) -> str:
        """Clients come from the client's address: even on one private host the table then tells the ends apart."""
        if self._topology.network == "machine":
            return ""
        try:
            return self._topology.address("client", 6 if family == socket.AF_INET6 else 4)
        except MachineError:
            return ""  # no IPv6 here: connect will say so
