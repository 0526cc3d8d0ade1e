"""Where a stopped task is in the user's own source: unwinding, line tables, Python frames."""
