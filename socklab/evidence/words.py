"""A raw text in the roles of its words: what the panel shows stands out, the rest stays.

In: a Reading, places of words. Out: lines, made visible. Knows no file of /proc.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from socklab.core.text import safe
from socklab.evidence.model import Line
from socklab.protocol.rows import Reading

DIM, SHOWN = "dim", "number"


def text_of(reading: Reading) -> str:
    return reading.data.decode("utf-8", "surrogateescape")


def words(text: str, roles: Mapping[int, str]) -> Line:
    """The line as it is, each word in its role; blanks stay."""
    found: list[tuple[str, str]] = []
    for place, match in enumerate(re.finditer(r"\s*\S+", text.rstrip())):
        found.append((safe(match[0]), roles.get(place, DIM)))
    return tuple(found)
