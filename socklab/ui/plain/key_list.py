"""`socklab keys`: the keys of the screen as they are now, and the file that changes them.

In: the command table, the user's keymap. Out: text; the exit code.
"""

from __future__ import annotations

import sys

from socklab.commands import keymap
from socklab.core.errors import UsageError
from socklab.core.text import safe


def show() -> int:
    """Print the table. 2 = the keymap has a mistake, which is told on stderr."""
    now = keymap.load()
    group = ""
    for command in now.commands:
        if command.group != group:
            group = command.group
            print(f"{group}:")
        mark = "*" if command.name in now.changed else " "
        print(f" {mark}{command.name:<15} {command.keys:<10} {command.help}".rstrip())
    print(f"\n* = changed by {safe(now.path)}" if now.changed else f"\nTo change them: {safe(now.path)}")
    if now.problem:
        print(f"socklab: {now.problem}", file=sys.stderr)
    return UsageError.exit_code if now.problem else 0
