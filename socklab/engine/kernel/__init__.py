"""Reading what the kernel holds: /proc text, sock_diag, descriptor tables, and what changed since the last look."""
