"""How a user has arranged the screen, kept from one run to the next: layout.json in the user's state directory.

In: the file. Out: an Arrangement, and what is wrong with the file, which is then left aside; the file written anew as a
whole. A file that is none, such as /dev/null, is never written. Nothing raises.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from socklab.core.text import safe

FORMAT = 1


class Arrangement(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stays as it was: names of panels that are not there (any more) mean nothing."""

    format: int = FORMAT
    front: tuple[str, ...] = ()
    """Panels brought to the front, the last one last."""
    maximised: str = ""
    theme: str = ""
    """"" = the usual one."""


def path() -> Path:
    """Where it is kept: SOCKLAB_LAYOUT, or the user's state directory."""
    if named := os.environ.get("SOCKLAB_LAYOUT"):
        return Path(named).expanduser()
    from platformdirs import user_state_path

    return user_state_path("socklab") / "layout.json"


def load() -> tuple[Arrangement, str]:
    """The arrangement, and why the file that is there can't be used ("" = it can, or there is none)."""
    file = path()
    try:
        data = file.read_bytes()
        found = msgspec.json.decode(data, type=Arrangement) if data else Arrangement()
    except FileNotFoundError:
        return Arrangement(), ""
    except (OSError, ValueError) as error:  # msgspec's errors and those of UTF-8 are ValueErrors
        why = error.strerror if isinstance(error, OSError) else safe(str(error))
        return Arrangement(), f"The screen's layout {safe(str(file))} is not used: {why}."
    if found.format != FORMAT:
        return Arrangement(), f"The screen's layout {safe(str(file))} is not used: it is of format {found.format}."
    return found, ""


def save(arrangement: Arrangement) -> str:
    """Keep it. Returns why that can't be, or ""."""
    file = path()
    try:
        if file.exists() and not file.is_file():
            return ""
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            beside.write_bytes(msgspec.json.encode(arrangement) + b"\n")
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        return f"The screen's layout could not be kept in {safe(str(file))}: {error.strerror}."
    return ""
