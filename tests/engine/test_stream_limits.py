"""What the engine keeps for its own fold has a limit: who puts more waits for the one who folds."""

from __future__ import annotations

import socket
import threading

from socklab.engine.stream import MOST_KEPT, Stream
from socklab.protocol import events as ev

MANY = 3 * MOST_KEPT


class Told(threading.Event):
    """An event that tells, too, when somebody begins to wait for it."""

    def __init__(self, reached: threading.Event) -> None:
        super().__init__()
        self.reached = reached

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


def test_a_thread_that_puts_more_than_is_folded_waits_and_nothing_is_lost() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours, keep=True)
    theirs.close()  # where the lines go is another matter
    stream.fold_here()
    come = threading.Event()
    stream._folded = Told(come)

    def put() -> None:
        for number in range(MANY):
            stream.put(ev.Exited(number, 1))
        come.set()

    tracer = threading.Thread(target=put)
    tracer.start()
    taken: list[int] = []
    while len(taken) < MANY:
        assert come.wait(60)
        come.clear()
        assert len(stream.kept) <= MOST_KEPT + 1
        while stream.kept:
            taken.append(stream.kept.popleft().t)
        stream.folded()
    tracer.join(60)
    ours.close()
    assert taken == list(range(MANY))


def test_nobody_waits_for_a_fold_that_will_not_come() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours, keep=True)
    theirs.close()
    stream.fold_here()
    come = threading.Event()
    stream._folded = Told(come)
    tracer = threading.Thread(target=lambda: [stream.put(ev.Exited(n, 1)) for n in range(MANY)], daemon=True)
    tracer.start()
    assert come.wait(60)
    stream.fold_no_more()
    tracer.join(60)
    assert not tracer.is_alive()
    ours.close()
