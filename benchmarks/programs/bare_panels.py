"""Eight bordered panels of text in Textual and nothing else: what launching any such screen costs."""

from textual.app import App, ComposeResult
from textual.containers import Grid
from textual.widgets import Static


class Bare(App[None]):
    CSS = "Grid { grid-size: 2 4; } Static { border: solid white; height: 1fr; }"
    BINDINGS = [("q", "quit", "Quit")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        with Grid():
            for number in range(8):
                yield Static(f"panel {number}\n" + "some text in it\n" * 5)


Bare().run()
