"""Constants of sockets: families, types, protocols, options, message flags. Holds data only.

The numbers are the same on x86-64 and aarch64. Source: bits/socket.h, asm-generic/socket.h, netinet/in.h,
netinet/tcp.h, linux/netlink.h; meanings after socket(2), socket(7), ip(7), tcp(7), send(2), recv(2).
"""

from __future__ import annotations

from socklab.syscalls.symbols import Flags, Names, bits, sequence

FAMILIES = Names(
    "AF_???",
    sequence(
        "AF_",
        """0: UNSPEC UNIX INET AX25 IPX APPLETALK NETROM BRIDGE ATMPVC X25 INET6 ROSE DECnet NETBEUI SECURITY KEY
        NETLINK PACKET ASH ECONET ATMSVC RDS SNA IRDA PPPOX WANPIPE LLC IB MPLS CAN TIPC BLUETOOTH IUCV RXRPC ISDN
        PHONET IEEE802154 CAIF ALG NFC VSOCK KCM QIPCRTR SMC XDP MCTP""",
    ),
    """
AF_UNSPEC any family
AF_UNIX between processes of this host, named by a path
AF_INET IPv4
AF_INET6 IPv6
AF_NETLINK a conversation with the kernel itself
AF_PACKET raw packets of a network interface
""",
)

TYPES = Names(
    "SOCK_???",
    sequence("SOCK_", "1: STREAM DGRAM RAW RDM SEQPACKET DCCP 10: PACKET"),
    """
SOCK_STREAM a reliable stream of bytes, without message boundaries (TCP)
SOCK_DGRAM single messages, each on its own, none promised to arrive (UDP)
SOCK_RAW packets with their headers, past TCP and UDP
SOCK_SEQPACKET a reliable sequence of whole messages
""",
)

TYPE_FLAGS = Flags(
    "SOCK_???",
    bits("SOCK_", "CLOEXEC=0o2000000 NONBLOCK=0o4000"),
    """
SOCK_CLOEXEC closed by itself when the program runs another with execve
SOCK_NONBLOCK its calls never wait: they fail with EAGAIN instead
""",
)

PROTOCOLS = Names(
    "IPPROTO_???",
    sequence(
        "IPPROTO_",
        "0: IP ICMP IGMP 4: IPIP 6: TCP 8: EGP 12: PUP 17: UDP 22: IDP 29: TP 33: DCCP 41: IPV6 46: RSVP GRE "
        "50: ESP AH 58: ICMPV6 94: BEETPH 98: ENCAP 103: PIM 108: COMP 132: SCTP 136: UDPLITE MPLS 255: RAW 262: MPTCP",
    ),
    """
IPPROTO_IP 0: the usual protocol of this type (TCP for a stream, UDP for datagrams)
IPPROTO_TCP TCP
IPPROTO_UDP UDP
IPPROTO_ICMP ICMP: what ping speaks
IPPROTO_MPTCP TCP over several paths
""",
)

NETLINK = Names(
    "NETLINK_???",
    sequence(
        "NETLINK_",
        "0: ROUTE UNUSED USERSOCK FIREWALL SOCK_DIAG NFLOG XFRM SELINUX ISCSI AUDIT FIB_LOOKUP CONNECTOR NETFILTER "
        "IP6_FW DNRTMSG KOBJECT_UEVENT GENERIC 18: SCSITRANSPORT ECRYPTFS RDMA CRYPTO SMC",
    ),
)

LEVELS = Names(
    "SOL_??",
    {0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6", 58: "SOL_ICMPV6", 255: "SOL_RAW"}
    | {132: "SOL_SCTP", 136: "SOL_UDPLITE", 263: "SOL_PACKET", 270: "SOL_NETLINK", 282: "SOL_TLS", 284: "SOL_MPTCP"},
    """
SOL_SOCKET an option of sockets of any kind
SOL_IP an option of IPv4
SOL_IPV6 an option of IPv6
SOL_TCP an option of TCP
SOL_UDP an option of UDP
""",
)

_SOCKET_OPTIONS = Names(
    "SO_???",
    sequence(
        "SO_",
        """1: DEBUG REUSEADDR TYPE ERROR DONTROUTE BROADCAST SNDBUF RCVBUF KEEPALIVE OOBINLINE NO_CHECK PRIORITY LINGER
        BSDCOMPAT REUSEPORT PASSCRED PEERCRED RCVLOWAT SNDLOWAT RCVTIMEO_OLD SNDTIMEO_OLD SECURITY_AUTHENTICATION
        SECURITY_ENCRYPTION_TRANSPORT SECURITY_ENCRYPTION_NETWORK BINDTODEVICE ATTACH_FILTER DETACH_FILTER PEERNAME
        TIMESTAMP_OLD ACCEPTCONN PEERSEC SNDBUFFORCE RCVBUFFORCE PASSSEC TIMESTAMPNS_OLD MARK TIMESTAMPING_OLD
        PROTOCOL DOMAIN RXQ_OVFL WIFI_STATUS PEEK_OFF NOFCS LOCK_FILTER SELECT_ERR_QUEUE BUSY_POLL MAX_PACING_RATE
        BPF_EXTENSIONS INCOMING_CPU ATTACH_BPF ATTACH_REUSEPORT_CBPF ATTACH_REUSEPORT_EBPF CNX_ADVICE
        55: MEMINFO INCOMING_NAPI_ID COOKIE 59: PEERGROUPS ZEROCOPY TXTIME BINDTOIFINDEX TIMESTAMP_NEW TIMESTAMPNS_NEW
        TIMESTAMPING_NEW RCVTIMEO_NEW SNDTIMEO_NEW DETACH_REUSEPORT_BPF PREFER_BUSY_POLL BUSY_POLL_BUDGET NETNS_COOKIE
        BUF_LOCK RESERVE_MEM TXREHASH RCVMARK PASSPIDFD PEERPIDFD""",
    ),
    """
SO_REUSEADDR bind although old connections still have this address (in TIME_WAIT, say), if they had the option too
SO_REUSEPORT several sockets may share this address and split its connections
SO_KEEPALIVE probe a silent peer now and then
SO_LINGER how close treats data not yet sent; 0 seconds = reset the connection
SO_ERROR the error waiting on this socket; reading it clears it
SO_TYPE the type of this socket
SO_RCVBUF the size of the receive buffer in bytes; the kernel doubles what is set
SO_SNDBUF the size of the send buffer in bytes; the kernel doubles what is set
SO_RCVTIMEO_OLD how long a read may wait
SO_SNDTIMEO_OLD how long a write may wait
SO_ACCEPTCONN whether this socket listens
SO_BROADCAST allow sending to broadcast addresses
SO_DOMAIN the address family of this socket
SO_PROTOCOL the protocol of this socket
SO_PEERCRED process, user and group at the other end of a Unix socket
SO_BINDTODEVICE use this network interface only
""",
)
_TCP_OPTIONS = Names(
    "TCP_???",
    sequence(
        "TCP_",
        """1: NODELAY MAXSEG CORK KEEPIDLE KEEPINTVL KEEPCNT SYNCNT LINGER2 DEFER_ACCEPT WINDOW_CLAMP INFO QUICKACK
        CONGESTION MD5SIG 16: THIN_LINEAR_TIMEOUTS THIN_DUPACK USER_TIMEOUT REPAIR REPAIR_QUEUE QUEUE_SEQ
        REPAIR_OPTIONS FASTOPEN TIMESTAMP NOTSENT_LOWAT CC_INFO SAVE_SYN SAVED_SYN REPAIR_WINDOW FASTOPEN_CONNECT ULP
        MD5SIG_EXT FASTOPEN_KEY FASTOPEN_NO_COOKIE ZEROCOPY_RECEIVE INQ TX_DELAY""",
    ),
    """
TCP_NODELAY send small pieces at once instead of gathering them (no Nagle)
TCP_CORK gather until a full segment or until uncorked
TCP_INFO the kernel's own notes on this connection
TCP_DEFER_ACCEPT wake accept only when data has arrived
TCP_QUICKACK acknowledge at once
TCP_KEEPIDLE seconds of silence before the first keep-alive probe
TCP_USER_TIMEOUT milliseconds unacknowledged data may wait before the connection is given up
TCP_FASTOPEN accept data that comes with the SYN
TCP_MAXSEG the largest segment, in bytes
""",
)

_IP_OPTIONS = Names(
    "IP_???",
    sequence(
        "IP_",
        """1: TOS TTL HDRINCL OPTIONS ROUTER_ALERT RECVOPTS RETOPTS PKTINFO PKTOPTIONS MTU_DISCOVER RECVERR RECVTTL
        RECVTOS MTU FREEBIND IPSEC_POLICY XFRM_POLICY PASSSEC TRANSPARENT ORIGDSTADDR MINTTL NODEFRAG CHECKSUM
        BIND_ADDRESS_NO_PORT RECVFRAGSIZE RECVERR_RFC4884 32: MULTICAST_IF MULTICAST_TTL MULTICAST_LOOP ADD_MEMBERSHIP
        DROP_MEMBERSHIP UNBLOCK_SOURCE BLOCK_SOURCE ADD_SOURCE_MEMBERSHIP DROP_SOURCE_MEMBERSHIP MSFILTER
        49: MULTICAST_ALL UNICAST_IF LOCAL_PORT_RANGE PROTOCOL""",
    ),
    """
IP_TTL how many routers a packet may pass
IP_TOS the type-of-service byte of the header
IP_FREEBIND bind to an address this host does not have
IP_BIND_ADDRESS_NO_PORT bind takes the address; the port is chosen at connect
""",
)

_IPV6_OPTIONS = Names(
    "IPV6_???",
    sequence(
        "IPV6_",
        """1: ADDRFORM 2292PKTINFO 2292HOPOPTS 2292DSTOPTS 2292RTHDR 2292PKTOPTIONS CHECKSUM 2292HOPLIMIT NEXTHOP
        AUTHHDR FLOWINFO 16: UNICAST_HOPS MULTICAST_IF MULTICAST_HOPS MULTICAST_LOOP ADD_MEMBERSHIP DROP_MEMBERSHIP
        ROUTER_ALERT MTU_DISCOVER MTU RECVERR V6ONLY JOIN_ANYCAST LEAVE_ANYCAST MULTICAST_ALL ROUTER_ALERT_ISOLATE
        RECVERR_RFC4884 FLOWLABEL_MGR FLOWINFO_SEND IPSEC_POLICY XFRM_POLICY HDRINCL 49: RECVPKTINFO PKTINFO
        RECVHOPLIMIT HOPLIMIT RECVHOPOPTS HOPOPTS RTHDRDSTOPTS RECVRTHDR RTHDR RECVDSTOPTS DSTOPTS RECVPATHMTU PATHMTU
        DONTFRAG 66: RECVTCLASS TCLASS 70: AUTOFLOWLABEL 72: ADDR_PREFERENCES MINHOPCOUNT ORIGDSTADDR TRANSPARENT
        UNICAST_IF RECVFRAGSIZE FREEBIND""",
    ),
    "IPV6_V6ONLY 1 = IPv6 only; 0 = this socket also serves IPv4, as ::ffff:a.b.c.d\n",
)

_UDP_OPTIONS = Names(
    "UDP_???",
    sequence("UDP_", "1: CORK 100: ENCAP NO_CHECK6_TX NO_CHECK6_RX SEGMENT GRO"),
    """
UDP_CORK gather until uncorked, then send one datagram
UDP_SEGMENT what is sent is cut into datagrams of this size
UDP_GRO several datagrams of one sender may be received as one
""",
)
_PACKET_OPTIONS = Names(
    "PACKET_???",
    sequence(
        "PACKET_",
        """1: ADD_MEMBERSHIP DROP_MEMBERSHIP RECV_OUTPUT 5: RX_RING STATISTICS COPY_THRESH AUXDATA ORIGDEV VERSION
        HDRLEN RESERVE TX_RING LOSS VNET_HDR TX_TIMESTAMP TIMESTAMP FANOUT TX_HAS_OFF QDISC_BYPASS ROLLOVER_STATS
        FANOUT_DATA IGNORE_OUTGOING""",
    ),
)
_NETLINK_OPTIONS = Names(
    "NETLINK_???",
    sequence(
        "NETLINK_",
        """1: ADD_MEMBERSHIP DROP_MEMBERSHIP PKTINFO BROADCAST_ERROR NO_ENOBUFS RX_RING TX_RING LISTEN_ALL_NSID
        LIST_MEMBERSHIPS CAP_ACK EXT_ACK GET_STRICT_CHK""",
    ),
)

_NO_OPTIONS = Names("", {})
OPTIONS = {
    0: _IP_OPTIONS,
    1: _SOCKET_OPTIONS,
    6: _TCP_OPTIONS,
    17: _UDP_OPTIONS,
    41: _IPV6_OPTIONS,
    263: _PACKET_OPTIONS,
    270: _NETLINK_OPTIONS,
}
"""Options by level."""


def options(level: int) -> Names:
    """The options of a level; an empty table for a level whose options have no names here."""
    return OPTIONS.get(level, _NO_OPTIONS)


MESSAGE_FLAGS = Flags(
    "MSG_???",
    bits(
        "MSG_",
        """OOB=0x1 PEEK=0x2 DONTROUTE=0x4 CTRUNC=0x8 PROBE=0x10 TRUNC=0x20 DONTWAIT=0x40 EOR=0x80 WAITALL=0x100
        FIN=0x200 SYN=0x400 CONFIRM=0x800 RST=0x1000 ERRQUEUE=0x2000 NOSIGNAL=0x4000 MORE=0x8000 WAITFORONE=0x10000
        SENDPAGE_NOTLAST=0x20000 BATCH=0x40000 NO_SHARED_FRAGS=0x80000 ZEROCOPY=0x4000000 FASTOPEN=0x20000000
        CMSG_CLOEXEC=0x40000000 CMSG_COMPAT=0x80000000""",
    ),
    """
MSG_OOB urgent data, outside the stream
MSG_PEEK look at the data and leave it in the queue
MSG_TRUNC the message was longer than the buffer (asked for: return its real length)
MSG_CTRUNC control data was longer than its buffer
MSG_DONTWAIT do not wait this time: EAGAIN instead
MSG_WAITALL wait until the whole buffer is filled
MSG_NOSIGNAL no SIGPIPE if the connection is gone: EPIPE alone
MSG_MORE more will follow at once: do not send a small segment yet
MSG_CMSG_CLOEXEC received descriptors close by themselves at execve
MSG_ERRQUEUE read the socket's queue of errors
MSG_ZEROCOPY send from the program's memory without a copy
MSG_FASTOPEN connect and send the first data with the SYN
""",
)

SHUTDOWN = Names(
    "SHUT_???",
    sequence("SHUT_", "0: RD WR RDWR"),
    """
SHUT_RD no more reading
SHUT_WR no more writing: the other side is told with a FIN and reads end of stream; reading goes on
SHUT_RDWR neither reading nor writing
""",
)

CONTROL_TYPES = {
    1: Names(
        "SCM_???",
        {1: "SCM_RIGHTS", 2: "SCM_CREDENTIALS", 3: "SCM_SECURITY", 4: "SCM_PIDFD"}
        | {29: "SO_TIMESTAMP_OLD", 35: "SO_TIMESTAMPNS_OLD", 37: "SO_TIMESTAMPING_OLD"},
    )
}
"""Control message types by level; those of IP are the option of the same number."""

ETHERTYPES = Names(
    "ETH_P_???",
    {0x0003: "ETH_P_ALL", 0x0800: "ETH_P_IP", 0x0806: "ETH_P_ARP", 0x8035: "ETH_P_RARP", 0x8100: "ETH_P_8021Q"}
    | {0x86DD: "ETH_P_IPV6", 0x8864: "ETH_P_PPP_SES", 0x888E: "ETH_P_PAE", 0x88CC: "ETH_P_LLDP", 0x88F7: "ETH_P_1588"},
)
HARDWARE = Names(
    "ARPHRD_???",
    {0: "ARPHRD_NETROM", 1: "ARPHRD_ETHER", 512: "ARPHRD_PPP", 768: "ARPHRD_TUNNEL", 769: "ARPHRD_TUNNEL6"}
    | {772: "ARPHRD_LOOPBACK", 776: "ARPHRD_SIT", 778: "ARPHRD_IPGRE", 801: "ARPHRD_IEEE80211"}
    | {0xFFFE: "ARPHRD_NONE", 0xFFFF: "ARPHRD_VOID"},
)
PACKET_TYPES = Names("PACKET_???", sequence("PACKET_", "0: HOST BROADCAST MULTICAST OTHERHOST OUTGOING LOOPBACK"))
INTERFACE_FLAGS = Flags(
    "IFF_???",
    bits(
        "IFF_",
        """UP=0x1 BROADCAST=0x2 DEBUG=0x4 LOOPBACK=0x8 POINTOPOINT=0x10 NOTRAILERS=0x20 RUNNING=0x40 NOARP=0x80
        PROMISC=0x100 ALLMULTI=0x200 MASTER=0x400 SLAVE=0x800 MULTICAST=0x1000 PORTSEL=0x2000 AUTOMEDIA=0x4000
        DYNAMIC=0x8000""",
    ),
)
VSOCK_CIDS = Names(
    "",
    {0: "VMADDR_CID_HYPERVISOR", 1: "VMADDR_CID_LOCAL", 2: "VMADDR_CID_HOST", 0xFFFFFFFF: "VMADDR_CID_ANY"},
    """
VMADDR_CID_LOCAL this machine
VMADDR_CID_HOST the machine that runs this virtual one
VMADDR_CID_ANY any
""",
)
