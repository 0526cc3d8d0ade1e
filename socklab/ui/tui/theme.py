"""What roles look like: four palettes, and the Rich style of any role in each.

In: a palette's name and a role of `lines.Span`. Out: a rich Style. One colour, amber, is reserved: it means that the
last call changed this, and nothing else has it. Blue is where one is: the line about to make the call, the focus, the
question. Keys and titles are bold; what is wrong is red. No meaning rests on colour alone: panels put markers too.
Never draws.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.style import Style

if TYPE_CHECKING:
    from textual.theme import Theme as TextualTheme

_COLOURS = {
    # dark, light; then the terminal's own sixteen colours, on its own background: yellow can't be read on white
    "bg": ("#0e1116", "#ffffff", "default"),
    "raised": ("#252c36", "#e3e8ee", "default"),
    "fg": ("#e9edf2", "#16191d", "default"),
    "dim": ("#8f9aa8", "#586270", "default"),
    "rule": ("#38414d", "#b9c2cc", "default"),
    "changed": ("#ffb000", "#a04b00", "magenta"),
    "here": ("#1f5a94", "#cfe4fb", "default"),
    "on_here": ("#ffffff", "#0a1a2b", "default"),
    "blue": ("#7cc4ff", "#0b57a8", "cyan"),
    "green": ("#7ee2a0", "#0e6b30", "green"),
    "red": ("#ff7b72", "#b3180f", "red"),
    "quiet": ("#5a6572", "#8b95a1", "default"),
    "client0": ("#7cc4ff", "#0b57a8", "blue"),
    "client1": ("#d8a6ff", "#7a2fb0", "cyan"),
    "client2": ("#5fe0d3", "#006c6a", "green"),
    "client3": ("#ff9fcf", "#a8186a", "red"),
    "client4": ("#c3e070", "#4c6400", "default"),
    "client5": ("#a8b4ff", "#4350b0", "default"),
}
_DARK, _LIGHT, _ANSI = ({name: colours[place] for name, colours in _COLOURS.items()} for place in range(3))


def _rich(palette: Mapping[str, str]) -> dict[str, Style]:
    """Role to style, without the background, for a palette of colours."""
    p = palette
    ansi = p is _ANSI
    return {
        "": Style(color=p["fg"]),
        "dim": Style(color=p["dim"], dim=ansi),
        "rule": Style(color=p["rule"], dim=ansi),
        "strong": Style(color=p["fg"], bold=True),
        "title": Style(color=p["fg"], bold=True),
        "name": Style(color=p["blue"], bold=ansi),
        "number": Style(color=p["fg"]),
        "string": Style(color=p["green"]),
        "keyword": Style(color=p["blue"], bold=True),
        "comment": Style(color=p["dim"], italic=True, dim=ansi),
        "path": Style(color=p["fg"]),
        "changed": Style(color=p["changed"], bold=True),
        "new": Style(color=p["green"], bold=True),
        "gone": Style(color=p["red"], strike=True),
        "good": Style(color=p["green"], bold=True),
        "warn": Style(color=p["red"]),
        "bad": Style(color=p["red"], bold=True),
        "mask": Style(color=p["quiet"], dim=ansi),
        "key": Style(color=p["fg"], bold=True),
        "accept": Style(color=p["green"], bold=True),
        "syn": Style(color=p["blue"], bold=True),
        "free": Style(color=p["dim"], dim=ansi),
        "listen": Style(color=p["blue"], bold=True),
        "link": Style(color=p["fg"], underline=True),
        "current": Style(reverse=True, bold=True) if ansi else Style(color=p["on_here"], bgcolor=p["here"], bold=True),
        "tile": Style(reverse=True, bold=True),
        "focus": Style(color=p["blue"], bold=True),
        **{f"client{n}": Style(color=p[f"client{n}"], bold=ansi) for n in range(6)},
    }


class Theme:
    """One palette, ready to draw with. Styles are kept: a role is looked up, not built."""

    def __init__(self, name: str, palette: Mapping[str, str], *, colourless: bool = False) -> None:
        self.name = name
        self.palette = palette
        ansi = palette is _ANSI
        self.base = Style() if ansi else Style(color=palette["fg"], bgcolor=palette["bg"])
        self.cursor = Style(reverse=True) if ansi else Style(bgcolor=palette["raised"], bold=True)
        """A selected row; the text keeps its own colours."""
        self.ground = Style() if ansi else Style(bgcolor=palette["raised"])
        """Under a raised bar."""
        self._colourless = colourless
        self._roles = _rich(palette)
        self.current = self._roles["current"]
        """The line about to make the call."""
        self.roles = frozenset(self._roles)
        self._styles: dict[str, Style] = {}

    def style(self, role: str) -> Style:
        """The style of a role, or of several separated by blanks, on the panel's background. Unknown ones are plain."""
        found = self._styles.get(role)
        if found is None:
            found = self.base
            for word in role.split() or ("",):
                found += self._roles.get(word, self._roles[""])
            if self._colourless:
                found = found.without_color
            self._styles[role] = found
        return found


def themes(*, no_color: bool) -> dict[str, Theme]:
    """Every theme, the first one being the default. With `no_color` only one, which sends no colour at all."""
    if no_color:
        return {"no colour": Theme("no colour", _ANSI, colourless=True)}
    return {
        "dark": Theme("dark", _DARK),
        "light": Theme("light", _LIGHT),
        "terminal": Theme("terminal", _ANSI),
    }


def textual_theme(theme: Theme, known: Mapping[str, TextualTheme]) -> TextualTheme | str:
    """What Textual's own widgets (prompt, palette, help) are drawn with beside this theme.

    A Theme to register, or the name of one that Textual has: its ANSI theme changed names between releases.
    """
    from textual.theme import Theme as TextualTheme

    p = theme.palette
    if p is _ANSI:
        return next((name for name in ("ansi-dark", "textual-ansi") if name in known), "textual-dark")
    return TextualTheme(
        name=f"socklab-{theme.name}",
        primary=p["blue"],
        secondary=p["fg"],
        accent=p["blue"],
        foreground=p["fg"],
        background=p["bg"],
        surface=p["bg"],
        panel=p["raised"],
        warning=p["red"],
        error=p["red"],
        success=p["green"],
        dark=theme.name == "dark",
    )
