"""The packets of a run, ordered into its stream, and the verbs that act on them.

In: the topology's wire (two hosts) or its view of loopback (one private host). Out: `Packet` and `PacketFate` events,
a capture file. Belongs to the lab thread. Never moves a packet itself: the wire's own process does.
"""

from __future__ import annotations

import selectors
from contextlib import suppress

from socklab.commands import actions
from socklab.core.errors import MachineError, UsageError
from socklab.core.plural import counted
from socklab.engine.network.sniffer import Sniffer
from socklab.engine.network.topology import Topology
from socklab.engine.network.wire.report import Capture
from socklab.engine.network.wire.wire import Wire
from socklab.engine.stream import Stream
from socklab.protocol import events as ev


class Wiretap:
    """`open` makes one where the network lets packets be seen."""

    def __init__(self, stream: Stream, selector: selectors.BaseSelector, topology: Topology) -> None:
        self._stream = stream
        self._selector = selector
        self._network = topology.network
        self._wire: Wire | None = topology.wire
        self._sniffer: Sniffer | None = None
        self._capture = Capture()
        """Of packets seen on loopback; the wire's process writes its own."""
        self._left_out = 0
        self.broken = False
        """The wire's process died: no packet will cross any more."""
        self._rules: tuple[str, ...] = ()
        if topology.network == "private":
            try:
                self._sniffer = topology.sniff()
            except MachineError as error:
                self._stream.notice("info", error.what, error.fix)
        source = self._wire or self._sniffer
        if source is not None:
            source.start_ns = stream.start_ns
            selector.register(source.fileno(), selectors.EVENT_READ, lambda _mask: self.pump())
        if self._wire is not None and self._wire.process is not None:
            selector.register(self._wire.process, selectors.EVENT_READ, lambda _mask: self._wire_died())

    def pump(self) -> None:
        """Put what has been reported since the last time. Never waits."""
        source = self._wire or self._sniffer
        if source is None:
            return
        found = source.read()
        for event in found:
            self._stream.put(event)
            if self._capture and isinstance(event, ev.Packet):
                self._capture.save(self._stream.start_ns + event.t, event.data, event.length)
        self._capture.sync()
        self._rules_used_up(found)
        if source.unreported > self._left_out:
            missed = source.unreported - self._left_out
            self._left_out = source.unreported
            self._stream.notice(
                "warning", f"{counted(missed, 'packet')} crossed unseen: there were more than could be shown."
            )
        if self._wire is not None and self._wire.ended:
            self._selector.unregister(self._wire.fileno())
            if self._wire.process is not None:
                self._selector.unregister(self._wire.process)
            self._wire = None
            self.broken = True
            self._stream.notice(
                "error", "The wire's process is gone: the hosts cannot reach each other.", "Start again."
            )

    def _wire_died(self) -> None:
        self.pump()  # the last it told
        if self._wire is not None:
            self._wire.ended = True
            self.pump()

    def capture(self, path: str) -> None:
        """Write every packet from now on to a pcap file. Raises MachineError where none can be had, or no file."""
        if self._wire is not None:
            self._wire.capture(path)
            return
        if self._sniffer is None:
            raise MachineError(
                f"No packets can be captured: the lab sees none on this network ({self._network}).",
                fix="--net private or --net two-hosts; `socklab doctor` says what this machine allows.",
            )
        self._capture.begin(path)
        self._capture.sync()

    def act(self, action: actions.Wire) -> None:
        """Carry out a wire verb; what came of it is told. Raises UsageError, MachineError."""
        if self._wire is None:
            fallbacks = {"private": "one private host, whose packets can be seen but not held"}
            here = fallbacks.get(self._network, "the machine's own network")
            raise UsageError(
                f"{action.verb} needs a wire between two hosts; this lab runs on {here}.",
                fix="--net two-hosts where the machine allows it: `socklab doctor` says so.",
            )
        answer = self._wire.do(action.verb, action.words)
        if answer.text and not (answer.done and action.verb in ("deliver", "drop", "release")):
            self._stream.notice(
                "info", answer.text, answer.fix
            )  # what was delivered or dropped, the packets' fates say
        self._tell_rules(answer.rules)
        self.pump()

    def _rules_used_up(self, found: list[ev.Packet | ev.PacketFate]) -> None:
        """A rule for the next packets is gone once they have come."""
        kept = any(isinstance(event, ev.PacketFate) and event.fate != "delivered" for event in found)
        if kept and self._wire is not None and any(" next " in rule for rule in self._rules):
            with suppress(MachineError):  # its process is gone; the next read says so
                self._tell_rules(self._wire.status().rules)

    def _tell_rules(self, rules: tuple[str, ...]) -> None:
        if rules != self._rules:
            self._rules = rules
            self._stream.put(ev.WireRules(self._stream.now(), rules))

    def name(self, name: str, local: str) -> None:
        """From now on verbs may call this end by its client's name."""
        if self._wire is not None:
            self._wire.name(name, local)

    def close(self) -> None:
        self.pump()
        if self._sniffer is not None:
            self._sniffer.close()
        self._capture.end()
