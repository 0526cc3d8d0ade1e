"""Why a kernel setting has its value: who set it in this lab, else that it was so when the lab began.

In: a Record, a setting's name. Out: a chain for each host that has told it.
"""

from __future__ import annotations

from collections.abc import Iterator

from socklab.why.model import Chain, Link, unknown
from socklab.why.record import Record


def chains(record: Record, name: str, host: str = "") -> list[Chain]:
    """`host` "": every one."""
    told = ((each, values[name]) for each, values in record.state.settings.items() if name in values)
    return [
        Chain(f"{name} of {each} is {value}", tuple(_links(record, each, name)))
        for each, value in told
        if host in ("", each)
    ]


def _links(record: Record, host: str, name: str) -> Iterator[Link]:
    """Acts that set it, the newest first, and what it was before the first of them."""
    readings = [event for event in record.readings.settings if (event.host, event.name) == (host, name)]
    acts = record.acts.settings(host, name)[::-1]
    yield from map(record.of_act, acts)
    first = next(iter(readings), None)
    if record.state.acted.dropped:
        yield unknown("whether it was set before", "the first acts of this long run were let go")
    elif first is not None:
        so = f"it was {first.value} at the first reading"
        yield Link(so if acts else f"{so}, and nothing in this lab has set it", first.t, record.readings.stop_of(first))
    elif not acts:
        yield unknown("what it was before", "earlier readings are not kept")
