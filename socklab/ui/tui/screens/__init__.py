"""The two screens: the menu of lessons, and one lab."""
