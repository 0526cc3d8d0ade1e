"""How often a test that looks for rare moments tries: enough in everyday runs, every time in CI."""

from __future__ import annotations

import os


def times(full: int) -> int:
    """`full` with SOCKLAB_EVERY_REPETITION set, as .ci/run does in a step of its own; else a fifth of it."""
    return full if os.environ.get("SOCKLAB_EVERY_REPETITION") else max(1, full // 5)
