"""What an event changes: the fold of it, field by field.

In: a state and events. Out: every field of LabState that is another one afterwards. Whatever a test does not name there
must not have changed.
"""

from __future__ import annotations

from socklab.state import LabState
from tests.support.streams import Part, Stream


def changes(state: LabState, *parts: Part) -> dict[str, object]:
    """Field to new value of all that differs after these events, without `t`; collections as plain ones.

    When things were told is left out too: that is what test_noticing is about.
    """
    after = Stream(*parts, state=state).state
    fields = [name for name in LabState.__struct_fields__ if name not in ("t", "noticed", "stop_times")]
    return {name: plain(getattr(after, name)) for name in fields if not same(state, after, name)}


def same(one: LabState, other: LabState, name: str) -> bool:
    return plain(getattr(one, name)) == plain(getattr(other, name))


def plain(value: object) -> object:
    """Logs as lists, mappings as dictionaries, so that they can be compared."""
    kind = type(value).__name__
    if kind == "Log":
        return list(value)  # type: ignore[call-overload]
    if kind == "PMap":
        return dict(value)  # type: ignore[call-overload]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
