"""What every Python that socklab runs imports at its start: brings in the line tracker where one is needed.

socklab puts this folder first in PYTHONPATH. Where the interpreter's own frames can be read from outside
(`engine/source/pyframes.py`) nothing is done. Either way it takes itself out of sys.path and sys.modules, then
imports the sitecustomize that would have been there without it. Kept short: it is every Python's start-up time.
"""

import os
import sys

# Any Python that the program runs reads this file, Python 2 among them: hence the comments where annotations would be.


def is_tracker_needed():
    # type: () -> bool
    """Whether this interpreter's frames cannot be read from outside, and it has what the tracker needs."""
    if sys.version_info < (3, 8):  # noqa: UP036
        return False
    return not (
        sys.implementation.name == "cpython"
        and (3, 11) <= sys.version_info < (3, 14)
        and sys.maxsize > 2**32
        and sys.byteorder == "little"
        and not hasattr(sys, "gettotalrefcount")  # a debug build has its structures laid out differently
    )


def give_way():
    # type: () -> None
    """Leaves no trace in sys.path and sys.modules, then imports the sitecustomize of the machine, if it has one."""
    folder = os.path.dirname(os.path.abspath(__file__))
    if is_tracker_needed() or os.environ.get("SOCKLAB_LINE_TRACKER") == "always":
        try:
            # Found through PYTHONPATH, as this file was; a name that no checker outside can look up.
            __import__("_socklab_tracker").start(folder)
        except (ImportError, AttributeError, OSError, ValueError):
            pass  # an interpreter without what is needed runs on untracked: the lab says so
        sys.modules.pop("_socklab_tracker", None)
    while folder in sys.path:
        sys.path.remove(folder)
    sys.path_importer_cache.pop(folder, None)
    del sys.modules[__name__]
    # Raises ImportError named sitecustomize where there is no other: site takes that as "none", as it should.
    __import__("sitecustomize")


if __name__ == "sitecustomize":
    give_way()
