"""The socket family: socket, bind, listen, accept, connect, options, sending and receiving.

Holds data only, in the form that rows.py reads.

Source: the manual pages of each call, section 2, whose parameter names these are;
ERRORS there and in ip(7), tcp(7), unix(7).
"""

CALLS = """\
sockfd: the socket
addrlen: in: room for the address; out: its real size

socket(domain: FAMILIES, type: socket_type, protocol: protocol) -> fd
    stop=lesson topic=descriptors
    Make a new socket and give the program a descriptor for it.
    domain: which family of addresses
    type: what kind of conversation
    protocol: which protocol of that kind
    EMFILE: this process has no free descriptor left (RLIMIT_NOFILE)
    EAFNOSUPPORT: the kernel does not support this address family
    EPROTONOSUPPORT: this family has no such protocol
    EINVAL: unknown protocol, or invalid flags in type
    EACCES: no permission to create a socket of this type
    EPERM: no permission: raw and packet sockets need CAP_NET_RAW

socketpair(domain: FAMILIES, type: socket_type, protocol: protocol, sv: fd_pair)
    errors=socket stop=lesson topic=descriptors
    Make two sockets that are connected to each other.
    domain: which family of addresses
    type: what kind of conversation
    protocol: which protocol of that kind
    sv: the two descriptors
    done: two new descriptors

bind(sockfd: fd, addr: sockaddr(addrlen), addrlen: int)
    stop=lesson topic=descriptors
    Give the socket a local address. Nothing listens there yet.
    addr: the address to take
    addrlen: size of the address in bytes
    done: the socket has its address
    EADDRINUSE: another socket holds this port, or old connections in TIME_WAIT do (unless old and new set
        SO_REUSEADDR)
    EACCES: the address is protected: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE
    EADDRNOTAVAIL: no interface of this host has this address
    EINVAL: the socket is already bound to an address, or addrlen is wrong
    ENOTSOCK: the descriptor is not a socket
    EAFNOSUPPORT: the address is of another family than the socket
    ENOENT: a directory in the socket's path does not exist

listen(sockfd: fd, backlog: int)
    stop=lesson topic=queues
    Make the socket a listener: from now on the kernel accepts connections for it and queues them.
    backlog: queue length asked for
    done: the socket is listening
    EADDRINUSE: another socket is already listening on this port
    EOPNOTSUPP: this type of socket cannot listen: only SOCK_STREAM and SOCK_SEQPACKET can
    EINVAL: the socket is connected, and a connected socket cannot become a listener

accept(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length) -> fd
accept4(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length, flags: TYPE_FLAGS) -> fd
    word=accept stop=lesson topic=queues
    Take the oldest connection out of the accept queue and give it a descriptor of its own; wait if the queue is empty.
    sockfd: the listener
    addr: the client's address
    flags: flags of the new socket
    EAGAIN: no connection is waiting in the accept queue, and the call may not wait (O_NONBLOCK or a time limit)
    EINVAL: the socket is not listening: listen(2) was not called, or the socket was shut down
    EMFILE: this process has no free descriptor left (RLIMIT_NOFILE); the connection stays in the accept queue
    ENFILE: the whole system has no free file left; the connection stays in the accept queue
    ECONNABORTED: the connection was aborted before it could be accepted
    EOPNOTSUPP: this type of socket has no connections to accept
    ENOTSOCK: the descriptor is not a socket
    EINTR: a signal came before a connection did
    EFAULT: the address buffer cannot be written

connect(sockfd: fd, addr: sockaddr(addrlen), addrlen: int)
    stop=lesson topic=sockets
    Connect the socket to a remote address: for TCP, send a SYN and wait for the handshake.
    addr: where to
    addrlen: size of the address in bytes
    done: connected
    ECONNREFUSED: no one is listening there: for TCP, the SYN was answered with an RST
    EINPROGRESS: the socket is non-blocking: the handshake has begun; poll for writability, then read SO_ERROR
    EALREADY: the socket is non-blocking and an earlier connect is still under way
    ETIMEDOUT: no answer: every SYN sent was lost, or the listener's accept queue stayed full
    EISCONN: the socket is already connected (a listener counts as one)
    ENETUNREACH: no route to that network
    EHOSTUNREACH: no way to that host: nothing answers for its address on the last network
    EADDRNOTAVAIL: no free local port for this destination, or the local address does not exist
    EADDRINUSE: the local address is already in use
    EACCES: no permission: a broadcast address without SO_BROADCAST, or a firewall rule
    EPERM: no permission: a broadcast address without SO_BROADCAST, or a firewall rule
    EINTR: a signal came; the handshake goes on by itself
    ECONNRESET: the other side reset the connection while it was being made
    EAFNOSUPPORT: the address is of another family than the socket
    ENOENT: no socket has this path
    EAGAIN: the listener's queue is full (Unix sockets), or no free local port

getsockname(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length)
    stop=lesson
    Ask for the socket's own address.
    addr: its local address
    done: the address is filled in

getpeername(sockfd: fd, addr: sockaddr_out(addrlen), addrlen: length)
    stop=lesson
    Ask for the address at the other end.
    addr: its peer's address
    done: the address is filled in
    ENOTCONN: the socket is not connected: it has no peer

setsockopt(sockfd: fd, level: sockopt_level, optname: sockopt_name, optval: optval(optlen), optlen: int)
    stop=lesson
    Set an option of the socket.
    level: which layer the option belongs to
    optname: which option
    optval: the value
    optlen: size of the value in bytes
    done: the option is set
    ENOPROTOOPT: this level has no such option
    EINVAL: the value or its length does not fit the option, or it is too late to set it
    EDOM: the time is out of range

getsockopt(sockfd: fd, level: sockopt_level, optname: sockopt_name, optval: optval_out(optlen), optlen: length)
    stop=lesson
    Read an option of the socket.
    level: which layer the option belongs to
    optname: which option
    optval: the value
    optlen: in: room for the value; out: its real size
    done: the value is read
    ENOPROTOOPT: this level has no such option

shutdown(sockfd: fd, how: SHUTDOWN)
    stop=lesson topic=sockets
    End one or both directions of the connection. The descriptor stays.
    how: which direction
    done: the direction is shut
    ENOTCONN: the socket is not connected
    EINVAL: how is none of SHUT_RD, SHUT_WR, SHUT_RDWR

sendto(sockfd: fd, buf: buffer_in(len), len: size, flags: MESSAGE_FLAGS, dest_addr: sockaddr(addrlen), addrlen: int) ->
        sent
    word=write,send stop=lesson topic=sockets
    Hand bytes to the kernel for sending.
    buf: the bytes
    len: how many bytes
    dest_addr: where to; NULL = the connected peer
    addrlen: size of the address in bytes

recvfrom(sockfd: fd, buf: buffer_out(len), len: size, flags: MESSAGE_FLAGS, src_addr: sockaddr_out(addrlen), addrlen:
        length) -> received
    word=read,recv stop=lesson topic=sockets
    Take received bytes out of the socket's receive queue; wait if there are none.
    buf: where the bytes go
    len: how many bytes
    src_addr: the sender's address

sendmsg(sockfd: fd, msg: msghdr, flags: MESSAGE_FLAGS) -> sent
    word=write,send stop=lesson topic=sockets
    Hand a message to the kernel for sending: scattered buffers, an address, control data.
    msg: the message

recvmsg(sockfd: fd, msg: msghdr_out, flags: MESSAGE_FLAGS) -> received
    word=read,recv stop=lesson topic=sockets
    Receive a message into scattered buffers, with its sender and control data; wait if there is none.
    msg: the message

sendmmsg(sockfd: fd, msgvec: mmsghdr(vlen), vlen: uint, flags: MESSAGE_FLAGS) -> count
    word=write,send stop=lesson topic=sockets
    Hand several messages to the kernel in one call.
    msgvec: the messages
    vlen: how many

recvmmsg(sockfd: fd, msgvec: mmsghdr_out(vlen), vlen: uint, flags: MESSAGE_FLAGS, timeout: timespec) -> count
    word=read,recv stop=lesson topic=sockets
    Receive several messages in one call.
    msgvec: the messages
    vlen: how many at most
    timeout: how long to wait
"""
