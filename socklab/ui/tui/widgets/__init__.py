"""What draws lines, and what makes lines: widgets, and pure functions that panels and screens share."""
