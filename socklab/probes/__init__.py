"""Probes: registered names for what can be read off a LabState, used by narration, predictions, settles and checks.

In: a state and a name such as "listener.accept_queue". Out: a number, a text or a yes/no that the kernel or the traced
program gave, never one that was assumed: what was not read raises Unmeasured with the reason. There is no expression
language. Never reads the kernel. docs/probe-howto.md lists them all.
"""

from __future__ import annotations

from socklab.probes import packets as packets  # registers its probes
from socklab.probes.network import (
    client_row as client_row,
    own_listeners as own_listeners,
    port_of as port_of,
    server_ports as server_ports,
)
from socklab.probes.program import call_name as call_name, errno_name as errno_name
from socklab.probes.registry import (
    COUNTERS as COUNTERS,
    NAMES as NAMES,
    PARTS as PARTS,
    Unmeasured as Unmeasured,
    Value as Value,
    check_name as check_name,
    check_value as check_value,
    measure as measure,
    names_in as names_in,
    substitute as substitute,
)
