"""The known word a mistyped one was probably meant to be.

In: a word and the words that would have been right. Out: a sentence for the `fix` of an error. Never guesses
silently: the caller still refuses the word.
"""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word most like `word`, or "" when none is close."""
    from difflib import get_close_matches  # costs a few milliseconds; only an error needs it

    words = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(word.lower(), list(words), n=1, cutoff=0.5)
    return words[found[0]] if found else ""


def suggest(word: str, known: Iterable[str], *, listed: int = 40) -> str:
    """`Did you mean "bind"?`, or the whole list when nothing is close and it is short enough to read."""
    words = list(known)
    close = nearest(word, words)
    if close:
        return f'Did you mean "{close}"?'
    return f"Known: {', '.join(sorted(words))}." if 0 < len(words) <= listed else ""
