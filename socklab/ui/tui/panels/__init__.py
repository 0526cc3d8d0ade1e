"""The panels, one class in one file each; registry.py is the list of them."""
