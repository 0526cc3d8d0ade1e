"""The pages that list keys say what the table of commands says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from socklab.commands.keymap import FIXED
from socklab.commands.table import COMMANDS, face

ROOT = Path(__file__).resolve().parents[2]
FACES = {face(key): command.name for command in COMMANDS for key in command.keys.split()}


def table() -> str:
    """The tables of docs/keys.md."""
    lines: list[str] = []
    group = ""
    for command in COMMANDS:
        if command.group != group:
            group = command.group
            lines += ["", f"### {group}", "", "| command | key | typed | |", "|---|---|---|---|"]
        keys = " ".join("`` ` ``" if key == "`" else f"`{face(key)}`" for key in command.keys.split())
        typed = ", ".join((command.usage, *command.words[1:])).replace("|", "\\|") if command.where else ""
        lines.append(f"| `{command.name}` | {keys} | {typed and f'`{typed}`'} | {command.help} |")
    return "\n".join(lines[1:])


def test_the_page_of_keys_is_the_table_of_commands() -> None:
    page = ROOT / "docs" / "keys.md"
    before, rest = page.read_text().split("<!-- table -->\n")
    shown, after = rest.split("\n<!-- end of table -->")
    if os.environ.get("SOCKLAB_SNAPSHOTS") == "write":
        page.write_text(f"{before}<!-- table -->\n{table()}\n<!-- end of table -->{after}")
        shown = table()
    assert shown == table()


def test_the_readme_gives_each_key_to_its_command() -> None:
    rows = re.findall(r"^\| `(\S+)` \| `(\S+)` \| ", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) >= 6
    assert {key: FACES.get(key) for key, _ in rows} == dict(rows)


def test_every_key_in_the_page_about_programs_exists() -> None:
    cells = re.findall(r"^\| ((?:`\S+` ?)+)\| ", (ROOT / "docs" / "run.md").read_text(), re.MULTILINE)
    keys = {key for cell in cells for key in re.findall(r"`(\S+)`", cell) if len(key) == 1 or key == "Esc"}
    assert len(keys) >= 8
    assert keys - {"Esc"} <= FACES.keys() | FIXED
