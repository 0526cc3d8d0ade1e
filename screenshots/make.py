#!/usr/bin/env python3
"""Makes every picture in this folder from real runs: SVG by Textual, PNG by rsvg-convert (librsvg) where it is there.

    .venv/bin/python screenshots/make.py            all pictures
    .venv/bin/python screenshots/make.py backlog    one

Each picture is a lesson driven by keys until the screen says what the picture is of.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
os.environ.update({"COLORTERM": "truecolor", "TERM": "xterm-256color"})
os.environ.pop("NO_COLOR", None)

from textual.pilot import Pilot  # noqa: E402

from socklab import lesson as lessons  # noqa: E402
from socklab.protocol.run_spec import RunSpec  # noqa: E402
from socklab.session import Link  # noqa: E402
from socklab.ui.tui.app import SocklabApp  # noqa: E402

DEADLINE_S = 20.0
FONT = "DejaVu Sans Mono, Noto Sans Mono, monospace"


class Picture(NamedTuple):
    """`keys` are pressed one by one, each when the program is held or asleep; then `shows` must be on the screen."""

    lesson: str
    language: str
    size: tuple[int, int]
    network: str
    keys: tuple[str, ...]
    shows: str


PICTURES = {
    "backlog": Picture("backlog", "c", (120, 36), "private", ("n", "n", "c", "enter"), "accept queue 5 of 4"),
    "question": Picture("backlog", "c", (120, 36), "private", ("n", "n"), "hidden until you answer"),
    "lifecycle": Picture("lifecycle", "python", (120, 36), "private", ("c", "enter", *"nnnn"), "held after bind"),
    "handshake": Picture(
        "handshake", "c", (120, 36), "two-hosts", ("n", "n", "n", "n", "b", "enter", "d"), r"SYN-ACK seq 0 ack 1 held"
    ),
    "small": Picture("backlog", "python", (80, 24), "private", ("n", "n", "c", "enter"), "5 of 4"),
}


def _text(app: SocklabApp) -> str:
    compositor = app.screen._compositor
    return "\n".join("".join(segment.text for segment in strip) for strip in compositor.render_strips())


async def _until(pilot: Pilot[int], app: SocklabApp, pattern: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not re.search(pattern, _text(app)):
        if time.monotonic() > deadline:
            raise SystemExit(f"never on the screen: {pattern}\n{_text(app)}")
        await pilot.pause(0.02)


async def take(name: str, picture: Picture) -> None:
    """Drive one lesson and write NAME.svg and NAME.png."""
    folder = lessons.find(picture.lesson)
    with Link.start(RunSpec(lesson=str(folder), language=picture.language, network=picture.network)) as link:
        app = SocklabApp(link, lessons.load(folder))
        async with app.run_test(size=picture.size) as pilot:
            for key in picture.keys:
                await _until(pilot, app, r"held (before|after)|asleep in|choose")
                await pilot.press(key)
                await pilot.pause(0.6)
            await _until(pilot, app, picture.shows)
            svg = app.export_screenshot(title=f"socklab lesson {picture.lesson}")
            await pilot.press("q")
    # Textual names a font of the web; a picture must look the same where there is no network.
    # Spaces at the ends of a span are part of the layout; SVG drops them unless told.
    svg = svg.replace("<svg ", '<svg xml:space="preserve" ', 1)
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S).replace("Fira Code", FONT)
    target = HERE / f"{name}.svg"
    target.write_text(svg)
    converter = shutil.which("rsvg-convert")
    if converter is None:
        print("rsvg-convert is not there (librsvg2-bin): no PNG made", file=sys.stderr)
        return
    subprocess.run([converter, "--zoom", "1", "-o", str(target.with_suffix(".png")), str(target)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*PICTURES, []], help="default: all")
    for name in parser.parse_args().names or PICTURES:
        asyncio.run(take(name, PICTURES[name]))
        print(HERE / f"{name}.svg")


if __name__ == "__main__":
    main()
