"""One module per panel: LabState in, Lines out. No module here imports textual or knows who draws."""

from __future__ import annotations


def warm(language: str = "") -> None:
    """Import what panels load when first needed (about 40 ms): the decoder, and the lexer of "c" or "python".

    For a moment when nobody waits: while the engine starts, or after the first picture.
    """
    from importlib import import_module

    import_module("socklab.syscalls.decoding")
    if language in ("c", "python"):
        import_module({"c": "pygments.lexers.c_cpp", "python": "pygments.lexers.python"}[language])
