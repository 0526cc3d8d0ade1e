"""Where everything is on the screen: places for a size, panels in the places, widgets put there."""
