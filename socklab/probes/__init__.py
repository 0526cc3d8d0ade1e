"""Probes: registered names for what can be read off a LabState, used by narration, predictions, settles and checks.

In: a state and a name such as "listener.accept_queue". Out: a number, a text or a yes/no that the kernel or the traced
program gave, never one that was assumed: what was not read raises Unmeasured with the reason. There is no expression
language. Never reads the kernel. docs/probe-howto.md lists them all.
"""

from __future__ import annotations

from socklab.probes import packets  # noqa: F401  registers its probes
from socklab.probes.network import client_row, own_listeners, port_of, server_ports
from socklab.probes.program import call_name, errno_name
from socklab.probes.registry import COUNTERS, NAMES, PARTS, Unmeasured, Value, check_name, measure, names_in, substitute

__all__ = [
    "COUNTERS",
    "NAMES",
    "PARTS",
    "Unmeasured",
    "Value",
    "call_name",
    "check_name",
    "client_row",
    "errno_name",
    "measure",
    "names_in",
    "own_listeners",
    "port_of",
    "server_ports",
    "substitute",
]
