"""Stopping a program at its calls: the bindings, the wait loop, which stops are held, how the program runs on."""
