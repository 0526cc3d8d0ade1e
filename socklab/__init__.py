"""socklab: a real server, stopped before each socket call, with the kernel's state beside it."""

__version__ = "0.1.0"
