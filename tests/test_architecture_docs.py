"""docs/architecture.md names files and packages that are there, and every package."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
PACKAGE = ROOT / "socklab"


def named() -> set[str]:
    """Files and folders in backquotes; those of the examples that one would add are left out."""
    found = set(re.findall(r"`([\w/.*-]+(?:\.py|/))`", PAGE))
    return found - {"ui/tui/panels/routes.py"}


def there(name: str) -> bool:
    """Below socklab/, or below the package whose section names it."""
    return any(list(folder.glob(name.rstrip("/"))) for folder in (PACKAGE, PACKAGE / "engine", PACKAGE / "ui" / "tui"))


def test_every_file_the_page_names_is_there() -> None:
    missing = [name for name in sorted(named()) if not there(name) and not list(PACKAGE.rglob(name.rstrip("/")))]
    assert len(named()) > 30
    assert missing == []


def test_every_package_has_its_line() -> None:
    packages = {folder.name for folder in PACKAGE.iterdir() if (folder / "__init__.py").exists()}
    assert {name for name in packages if f"`{name}/" not in PAGE} == set()
