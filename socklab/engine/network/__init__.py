"""The network a run plays in: hosts made of namespaces, the wire between them, the packets on it."""
