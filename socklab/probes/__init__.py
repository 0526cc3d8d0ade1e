"""Probes: registered names for what can be read off a LabState, used by narration, predictions, settles and checks.

In: a state and a name such as "listener.accept_queue". Out: a number, a text or a yes/no that the kernel or the traced
program gave, never one that was assumed: what was not read raises Unmeasured with the reason. There is no expression
language. Never reads the kernel. docs/probe-howto.md lists them all.
"""

from __future__ import annotations

from socklab.probes import packets as packets  # registers its probes
from socklab.probes.network import client_row as client_row
from socklab.probes.network import own_listeners as own_listeners
from socklab.probes.network import port_of as port_of
from socklab.probes.network import server_ports as server_ports
from socklab.probes.program import call_name as call_name
from socklab.probes.program import errno_name as errno_name
from socklab.probes.registry import COUNTERS as COUNTERS
from socklab.probes.registry import NAMES as NAMES
from socklab.probes.registry import PARTS as PARTS
from socklab.probes.registry import Unmeasured as Unmeasured
from socklab.probes.registry import Value as Value
from socklab.probes.registry import check_name as check_name
from socklab.probes.registry import measure as measure
from socklab.probes.registry import names_in as names_in
from socklab.probes.registry import substitute as substitute
