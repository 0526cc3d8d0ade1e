"""What the kernel's counters of TCP count, in a few words: for every way of showing them.

In: nothing. Out: names of /proc/net/snmp and /proc/net/netstat with their meaning. Never reads one.
"""

from __future__ import annotations

MEANINGS = {
    "ListenOverflows": "no room in an accept queue",
    "ListenDrops": "packets a listener dropped: SYN, ACK, data",
    "TCPReqQFullDrop": "SYN queue full, SYN dropped",
    "TCPReqQFullDoCookies": "SYN queue full, SYN cookie sent",
    "TCPBacklogDrop": "socket busy and its backlog full",
    "TCPAbortOnData": "reset: closed with linger 0, or data after the close",
    "TCPAbortOnClose": "closed with unread data: reset",
    "TCPTimeouts": "retransmission timers that ran out",
    "TCPSynRetrans": "SYNs and SYN-ACKs sent again",
    "TCPLossProbes": "tail loss probes",
    "TCPSpuriousRTOs": "retransmissions that were not needed",
    "RetransSegs": "segments sent again",
    "EmbryonicRsts": "resets during a handshake, sent or received",
    "SyncookiesSent": "SYN cookies sent",
    "SyncookiesRecv": "SYN cookies that came back",
    "SyncookiesFailed": "SYN cookies that did not fit",
    "ActiveOpens": "connect calls that began a handshake",
    "PassiveOpens": "handshakes a listener completed",
    "AttemptFails": "handshakes that failed",
    "EstabResets": "connections ended by a reset",
    "OutRsts": "resets sent",
    "InSegs": "segments received",
    "OutSegs": "segments sent",
    "TCPRcvCoalesce": "segments joined in a receive queue",
    "TCPZeroWindowDrop": "segments dropped: window was zero",
    "TCPToZeroWindowAdv": "times a window closed",
    "TCPFromZeroWindowAdv": "times a window opened again",
    "TCPWantZeroWindowAdv": "times a window wanted to close",
}

TOLD = (
    "ListenOverflows", "ListenDrops", "TCPReqQFullDoCookies", "TCPReqQFullDrop", "EmbryonicRsts", "TCPAbortOnData",
    "TCPAbortOnClose", "TCPTimeouts", "TCPSynRetrans", "RetransSegs", "OutRsts", "EstabResets", "AttemptFails",
    "TCPToZeroWindowAdv", "TCPFromZeroWindowAdv",
)  # fmt: skip
"""Counters that lessons speak of, in the order they are told. The others move with every packet."""
