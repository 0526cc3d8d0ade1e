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
    """A lesson is gone through with `n`, questions are answered with Esc, until `shows` is on the screen and what the
    lesson says is the text of step `step`; then `keys` are pressed."""

    lesson: str
    language: str
    size: tuple[int, int]
    step: int
    shows: str
    keys: tuple[str, ...] = ()


WIDE, SMALL = (120, 36), (80, 24)
PICTURES = {
    "backlog": Picture("backlog", "c", WIDE, 3, r"5 of 4  full"),
    "question": Picture("backlog", "c", WIDE, 2, r"hidden until you answer"),
    "present": Picture("backlog", "c", (100, 30), 2, r"5 of 4  full", ("f5",)),
    "small": Picture("backlog", "python", SMALL, 3, r"5 of 4  full"),
    "lifecycle": Picture("lifecycle", "python", WIDE, 8, r"held after (write|sendto)"),
    "handshake": Picture("handshake", "c", WIDE, 3, r"\[SYN-ACK"),
    "ghost": Picture("ghost", "c", WIDE, 4, r"(?s)\[5 B ↻.*kernel's answer"),
    "addresses": Picture("addresses", "c", WIDE, 1, r"ECONNREFUSED"),
    "flow": Picture("flow", "c", WIDE, 1, r"(?s)asleep in write.*kernel's answer"),
    "goodbye": Picture("goodbye", "c", WIDE, 1, r"TIME_WAIT +[0-9]+ s left"),
    "reset": Picture("reset", "c", WIDE, 1, r"─ RST-ACK"),
    "framework": Picture("framework", "python", WIDE, 14, r"held after listen"),
}
MOST_KEYS = 60


def _text(app: SocklabApp) -> str:
    compositor = app.screen._compositor
    return "\n".join("".join(segment.text for segment in strip) for strip in compositor.render_strips())


async def _ready(pilot: Pilot[int], app: SocklabApp) -> str:
    """What is on the screen once the engine waits and nothing moves."""
    deadline, last = time.monotonic() + DEADLINE_S, ""
    while time.monotonic() < deadline:
        await pilot.pause(0.4)
        text = _text(app)
        if text == last and re.search(r"held (before|after)|asleep in|choose|has ended", text):
            return text
        last = text
    raise SystemExit(f"the screen never came to rest:\n{last}")


async def take(name: str, picture: Picture) -> None:
    """Drive one lesson and write NAME.svg and NAME.png."""
    folder = lessons.find(picture.lesson)
    with Link.start(RunSpec(lesson=str(folder), language=picture.language)) as link:
        app = SocklabApp(link, lessons.load(folder))
        async with app.run_test(size=picture.size) as pilot:
            for _ in range(MOST_KEYS):
                text = await _ready(pilot, app)
                step = re.search(r"step (\d+) of", text)
                if step and int(step[1]) >= picture.step and re.search(picture.shows, text):
                    break
                await pilot.press("escape" if "choose" in text else "n")
            else:
                raise SystemExit(f"never on the screen: {picture.shows}\n{text}")
            for key in picture.keys:
                await pilot.press(key)
                await _ready(pilot, app)
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
