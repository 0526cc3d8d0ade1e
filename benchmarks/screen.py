"""How quick the screen is, seen from outside: key to last repainted byte, and launch to first paint.

    python benchmarks/screen.py                    all of it
    python benchmarks/screen.py --keys-only --rounds 20

Keys: the step key in a real pseudo-terminal at 120x36, in a lab of 10, 1,000 and 10,000 sockets, the sizes taken in
turn so that the machine's moods hit all alike. `drawing` has no engine behind it; `whole` is `socklab run` of a
server that has accepted that many connections; `moving`
is about keys at which something moves on the stage. Launch: beside a bare Textual application of eight panels, in turn.
Prints a table; `--json FILE` writes the figures too. A benchmark, never a test.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from ptyharness import Terminal, percentile  # noqa: E402

SIZES = (10, 1_000, 10_000)
Figures = dict[str, object]


def row(name: str, values: list[float]) -> Figures:
    return {"what": name, "p50": statistics.median(values), "p95": percentile(values, 0.95), "n": len(values)}


def show(figures: Figures, note: str = "") -> None:
    print(f"{figures['what']:<44} {figures['p50']:8.1f} {figures['p95']:8.1f} {figures['n']:6}  {note}", flush=True)


def _answered(terminals: dict[int, Terminal], keys: int) -> dict[int, tuple[list[float], list[float]]]:
    """Last byte (ms) and bytes of the answer to each step key, by number of sockets."""
    found: dict[int, tuple[list[float], list[float]]] = {size: ([], []) for size in terminals}
    for turn in range(keys + 5):
        for size, terminal in terminals.items():
            answer = terminal.key(b"s")
            if answer is not None and turn >= 5:  # the first ones warm every cache
                found[size][0].append(answer[1])
                found[size][1].append(float(answer[2]))
    return found


def drawing(keys: int) -> list[Figures]:
    """The screen alone."""
    terminals = {n: Terminal([sys.executable, str(HERE / "screen_lab.py"), str(n)]) for n in SIZES}
    try:
        for size, terminal in terminals.items():
            if not terminal.wait_for("held before accept", 20):
                raise SystemExit(f"the lab of {size} sockets never came up:\n{terminal.screen()}")
        found = _answered(terminals, keys)
    finally:
        for terminal in terminals.values():
            terminal.close()
    return _key_rows("drawing", found)


def _key_rows(what: str, found: dict[int, tuple[list[float], list[float]]]) -> list[Figures]:
    rows = []
    base = statistics.median(found[SIZES[0]][0])
    for size, (times, sizes) in found.items():
        figures = row(f"key, {what}, {size:,} sockets (ms)", times)
        figures["times 10 sockets"] = statistics.median(times) / base
        show(figures, f"x {figures['times 10 sockets']:.2f}, {statistics.median(sizes):.0f} bytes a key")
        rows.append(figures)
    return rows


def moving(keys: int) -> list[Figures]:
    """Keys whose stop makes something move on the stage, and keys while it moves; in turn with nothing that moves.

    The answer to a key ends where no byte comes for 20 ms: frames of what moves come 33 ms after it and each other.
    """
    argv = [sys.executable, str(HERE / "screen_lab.py"), "10", "moving"]
    terminals = {
        name: Terminal(argv, env={"TEXTUAL_ANIMATIONS": name, "PYTHONPATH": str(HERE.parent)})
        for name in ("none", "full")
    }
    found: dict[tuple[str, str], list[float]] = {}
    frames: list[float] = []
    try:
        for terminal in terminals.values():
            if not terminal.wait_for("held before accept", 20):
                raise SystemExit(f"the lab never came up:\n{terminal.screen()}")
        for turn in range(keys + 5):
            for name, terminal in terminals.items():
                terminal.settle(0.6, 3)
                for what in ("that makes a move", "while it moves"):
                    answer = terminal.key(b"s", quiet=0.02)
                    if answer is not None and turn >= 5:
                        found.setdefault((what, name), []).append(answer[1])
                    if what == "that makes a move":
                        mark = len(terminal.chunks)
                        terminal.settle(0.05, 0.2)
                        if name == "full":
                            frames.append(float(len(terminal.chunks) - mark))
    finally:
        for terminal in terminals.values():
            terminal.close()
    rows = []
    for (what, name), values in found.items():
        rows.append(row(f"key {what}, animations {name} (ms)", values))
        show(rows[-1])
    print(f"{'frames seen in the first 0.2 s of a move':<44} {statistics.median(frames):8.1f}")
    return rows


def whole(keys: int) -> list[Figures]:
    """A real server with real connections: engine, kernel, stream and screen."""
    terminals = {}
    for size in SIZES:
        program = [sys.executable, str(HERE / "programs" / "acceptor.py"), str(size // 2)]
        argv = [sys.executable, "-m", "socklab", "run", "--net", "private", "--", *program]
        terminals[size] = Terminal(argv, env={"PYTHONPATH": str(HERE.parent)})
    try:
        for size, terminal in terminals.items():
            _fill(terminal, size)
        found = _answered(terminals, keys)
    finally:
        for terminal in terminals.values():
            terminal.close(grace=20)
    return _key_rows("whole", found)


def _fill(terminal: Terminal, sockets: int) -> None:
    """Let the server accept as many connections as it wants: each is two sockets of the one private host."""
    if not terminal.wait_for("held before", 20):
        raise SystemExit(f"nothing was held:\n{terminal.screen()}")
    terminal.type(b":set net.core.somaxconn 20000\r")  # of the lab's own host
    terminal.wait_for("20000", 3)
    terminal.settle(0.8, 4)  # the prompt is loaded when it is first opened; two lines in one burst are one
    terminal.type(b":until accept\r")
    if not terminal.wait_for("held before accept", 20):
        raise SystemExit(f"the server never came to accept:\n{terminal.screen()}")
    terminal.type(b"6")  # the table of sockets, which counts them; the same key puts it away again
    terminal.type(f":connect {sockets // 2}\r".encode())
    if not terminal.wait_for(f"Sockets {sockets + 1:,}", 90):
        raise SystemExit(f"{sockets // 2} clients did not connect:\n{terminal.screen()}")
    terminal.type(b"6")
    terminal.type(b":until fcntl\r")
    if not terminal.wait_for("held before fcntl", 90):
        raise SystemExit(f"{sockets // 2} clients were not accepted:\n{terminal.screen()}")
    terminal.settle(0.5, 10)


def launch(rounds: int) -> list[Figures]:
    """Start to first paint, in turn with a bare application; and to the first stop of a real lesson."""
    bare, frame, screen, first, stop = [], [], [], [], []
    for turn in range(rounds + 1):
        terminal = Terminal([sys.executable, str(HERE / "programs" / "bare_panels.py")])
        terminal.wait_for("panel 7", 20)
        bare_ms = terminal.painted_at("panel 7")
        terminal.close()
        terminal = Terminal([sys.executable, str(HERE / "screen_lab.py"), "10"])
        terminal.wait_for("line_5 = accept", 20)
        frame_ms, screen_ms = terminal.painted_at(), terminal.painted_at("line_5 = accept")
        terminal.close()
        terminal = Terminal(
            [sys.executable, "-m", "socklab", "lesson", "backlog"], env={"PYTHONPATH": str(HERE.parent)}
        )
        terminal.wait_for("socket(AF_INET", 20)
        first_ms, stop_ms = terminal.painted_at(), terminal.painted_at("socket(AF_INET")
        terminal.close()
        if stop_ms is None:
            raise SystemExit(f"the lesson never came to its first stop:\n{terminal.screen()}")
        if turn and None not in (bare_ms, frame_ms, screen_ms, first_ms, stop_ms):
            bare.append(bare_ms or 0.0)
            frame.append(frame_ms or 0.0)
            screen.append(screen_ms or 0.0)
            first.append(first_ms or 0.0)
            stop.append(stop_ms or 0.0)
    rows = [
        row("launch, bare Textual application (ms)", bare),
        row("launch, screen: first paint (ms)", frame),
        row("launch, screen: all panels filled (ms)", screen),
        row("launch, socklab lesson: first paint (ms)", first),
        row("launch, socklab lesson: first stop (ms)", stop),
    ]
    base = statistics.median(bare)
    for figures, values in zip(rows, (bare, frame, screen, first, stop), strict=True):
        figures["times bare"] = statistics.median(values) / base
        show(figures, f"x {figures['times bare']:.2f} of bare")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keys", type=int, default=60, help="step keys for each size")
    parser.add_argument("--rounds", type=int, default=7, help="launches of each program")
    parser.add_argument("--only", choices=("drawing", "moving", "whole", "launch"), help="one part")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    print(f"{'':<44} {'p50':>8} {'p95':>8} {'n':>6}")
    rows: list[Figures] = []
    if options.only in (None, "drawing"):
        rows += drawing(options.keys)
    if options.only in (None, "moving"):
        rows += moving(options.keys)
    if options.only in (None, "whole"):
        rows += whole(min(options.keys, 40))
    if options.only in (None, "launch"):
        rows += launch(options.rounds)
    if options.json:
        Path(options.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
