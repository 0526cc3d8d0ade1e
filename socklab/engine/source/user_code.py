"""Is it user code: a file of the user's own, or the system's, a toolchain's, a package's?

In: a path as a compiler or an interpreter recorded it. Out: yes or no. Only the user's own files are shown as source;
what the program itself is (`__main__`, the executable) is decided where it is known. Pure.
"""

from __future__ import annotations

import re

_LIBRARY = re.compile(
    r"/(usr/(local/)?)?(lib|lib32|lib64|libx32|libexec|include)/|/usr/share/|/usr/local/go/|/rustc/"
    r"|.*/(\.cargo/registry|\.cargo/git|\.rustup|rustlib|go/pkg/mod|go/src|sdk/go1[^/]*/src|site-packages|dist-packages)/"
)
_PYTHON_LIBRARY = re.compile(r"<|.*/lib(64)?/(python|pypy)[23]\.\d+t?/|.*/(site|dist)-packages/|.*/python3\d+\.zip/")


def is_library(path: str) -> bool:
    """Whether a source or object file of a compiled program belongs to the system or a toolchain.

    So does a relative path that nothing resolved: the C library's own files are recorded that way.
    """
    if "/socklab/lessons/" in path:  # an installed lesson lies among libraries and is none
        return False
    return _LIBRARY.match(path) is not None or not path.startswith("/")


def is_python_library(path: str) -> bool:
    """Whether it belongs to the standard library or an installed package, or is no file at all (<string>)."""
    return _PYTHON_LIBRARY.match(path) is not None
