"""What an error means in the call that got it, one line each. Holds data only; errors.py looks it up.

Source: the ERRORS sections of the manual pages, section 2, and ip(7), tcp(7), unix(7).
"""

MEANINGS = """
socket EMFILE this process has no free descriptor left (RLIMIT_NOFILE)
socket EAFNOSUPPORT the kernel does not support this address family
socket EPROTONOSUPPORT this family has no such protocol
socket EINVAL unknown protocol, or invalid flags in type
socket EACCES no permission to create a socket of this type
socket EPERM no permission: raw and packet sockets need CAP_NET_RAW
bind EADDRINUSE another socket holds this port, or old connections in TIME_WAIT do (unless old and new set SO_REUSEADDR)
bind EACCES the address is protected: ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE
bind EADDRNOTAVAIL no interface of this host has this address
bind EINVAL the socket is already bound to an address, or addrlen is wrong
bind ENOTSOCK the descriptor is not a socket
bind EAFNOSUPPORT the address is of another family than the socket
bind ENOENT a directory in the socket's path does not exist
listen EADDRINUSE another socket is already listening on this port
listen EOPNOTSUPP this type of socket cannot listen: only SOCK_STREAM and SOCK_SEQPACKET can
listen EINVAL the socket is connected, and a connected socket cannot become a listener
accept EAGAIN no connection is waiting in the accept queue, and the call may not wait (O_NONBLOCK or a time limit)
accept EINVAL the socket is not listening: listen(2) was not called, or the socket was shut down
accept EMFILE this process has no free descriptor left (RLIMIT_NOFILE); the connection stays in the accept queue
accept ENFILE the whole system has no free file left; the connection stays in the accept queue
accept ECONNABORTED the connection was aborted before it could be accepted
accept EOPNOTSUPP this type of socket has no connections to accept
accept ENOTSOCK the descriptor is not a socket
accept EINTR a signal came before a connection did
accept EFAULT the address buffer cannot be written
connect ECONNREFUSED no one is listening there: for TCP, the SYN was answered with an RST
connect EINPROGRESS the socket is non-blocking: the handshake has begun; poll for writability, then read SO_ERROR
connect EALREADY the socket is non-blocking and an earlier connect is still under way
connect ETIMEDOUT no answer: every SYN sent was lost, or the listener's accept queue stayed full
connect EISCONN the socket is already connected (a listener counts as one)
connect ENETUNREACH no route to that network
connect EHOSTUNREACH no way to that host: nothing answers for its address on the last network
connect EADDRNOTAVAIL no free local port for this destination, or the local address does not exist
connect EADDRINUSE the local address is already in use
connect EACCES no permission: a broadcast address without SO_BROADCAST, or a firewall rule
connect EPERM no permission: a broadcast address without SO_BROADCAST, or a firewall rule
connect EINTR a signal came; the handshake goes on by itself
connect ECONNRESET the other side reset the connection while it was being made
connect EAFNOSUPPORT the address is of another family than the socket
connect ENOENT no socket has this path
connect EAGAIN the listener's queue is full (Unix sockets), or no free local port
read EAGAIN nothing to read yet, and the call may not wait (O_NONBLOCK, MSG_DONTWAIT or a time limit)
read ENOTCONN the socket is not connected (a listener never is): there is nothing to read from
read ECONNRESET the other side reset the connection (RST); what was in flight is lost
read ETIMEDOUT the connection was given up: nothing sent was acknowledged in time
read EINTR a signal came before any data did
read EBADF no such descriptor, or it is not open for reading
read EISDIR the descriptor is a directory
read EFAULT the buffer lies outside the program's memory
read ECONNREFUSED an earlier packet was answered: nobody listens there
write EPIPE no connection to write to (any more); SIGPIPE comes with it and kills, unless ignored or MSG_NOSIGNAL is set
write ECONNRESET the other side reset the connection (RST)
write EAGAIN no room in the send buffer, and the call may not wait (O_NONBLOCK, MSG_DONTWAIT or a time limit)
write ENOTCONN the socket is not connected and no destination was given
write EDESTADDRREQ the socket has no peer and no destination was given
write EMSGSIZE the message is too long to be sent whole, as this type of socket demands
write EINTR a signal came before any data was taken
write EBADF no such descriptor, or it is not open for writing
write EFAULT the buffer lies outside the program's memory
write ENOBUFS the queue of the network interface is full
write ENETUNREACH no route to that network
write EHOSTUNREACH no way to that host
write ETIMEDOUT the connection was given up: nothing sent was acknowledged in time
write EISCONN the socket is connected and a destination was given as well
write ENOSPC the device has no room left
shutdown ENOTCONN the socket is not connected
shutdown EINVAL how is none of SHUT_RD, SHUT_WR, SHUT_RDWR
getpeername ENOTCONN the socket is not connected: it has no peer
getsockopt ENOPROTOOPT this level has no such option
setsockopt ENOPROTOOPT this level has no such option
setsockopt EINVAL the value or its length does not fit the option, or it is too late to set it
setsockopt EDOM the time is out of range
close EBADF no such descriptor: it is already closed, or never was open
close EIO writing back failed; the descriptor is closed all the same
close EINTR a signal came; on Linux the descriptor is closed all the same
dup EBADF oldfd is not open, or newfd is out of range
dup EMFILE this process has no free descriptor left (RLIMIT_NOFILE)
fcntl EAGAIN the lock is held by another process
fcntl EINVAL the command or its argument is not valid here
ioctl ENOTTY the descriptor is not of the kind this request is for
ioctl EINVAL the request or its argument is not valid
open ENOENT there is no such file
open EACCES no permission to open this file so, or to search a directory on the way
open EMFILE this process has no free descriptor left (RLIMIT_NOFILE)
open ENFILE the whole system has no free file left
open EEXIST the file exists already, and O_CREAT with O_EXCL demands a new one
open EISDIR it is a directory and cannot be opened for writing
open ENOTDIR something on the way is not a directory
open ELOOP too many symbolic links on the way
open ENXIO a FIFO without a reader, or a socket: those are not opened by path
open EROFS the file system is read-only
open ETXTBSY the file is a program that is running
pipe EMFILE this process has no free descriptor left (RLIMIT_NOFILE)
sendfile EAGAIN the output is non-blocking and cannot take more now
sendfile EINVAL the descriptor cannot be used this way: the input must be a file the kernel can map
lseek ESPIPE a pipe or a socket has no position
pread64 ESPIPE a pipe or a socket has no position
select EBADF a set names a descriptor that is not open
select EINVAL nfds is negative or above RLIMIT_NOFILE, or the timeout is not valid
select EINTR a signal came before any descriptor was ready
poll EINTR a signal came before any descriptor was ready
poll EINVAL more entries than RLIMIT_NOFILE allows
epoll_wait EINTR a signal came before any descriptor was ready
epoll_wait EINVAL the descriptor is no epoll instance, or maxevents is not above zero
epoll_ctl EEXIST this descriptor is already on the list: EPOLL_CTL_MOD changes it
epoll_ctl ENOENT this descriptor is not on the list: EPOLL_CTL_ADD puts it there
epoll_ctl EPERM this kind of file cannot be waited for: a regular file or a directory
epoll_ctl EINVAL epfd is no epoll instance, or is itself the descriptor to add
epoll_ctl ENOSPC too many descriptors are watched (/proc/sys/fs/epoll/max_user_watches)
epoll_ctl ELOOP epoll instances would watch one another in a circle
io_uring_setup EPERM the machine forbids io_uring (kernel.io_uring_disabled)
io_uring_setup ENOSYS this kernel has no io_uring
fork EAGAIN a limit on the number of processes or threads is reached (RLIMIT_NPROC, pids cgroup)
fork ENOMEM not enough memory
wait ECHILD there is no child to wait for
wait EINTR a signal came before a child changed state
kill ESRCH there is no such process
kill EPERM no permission to send a signal to that process
execve ENOENT there is no such program, or its interpreter is missing
execve EACCES the file is not executable, or a directory on the way may not be searched
execve ENOEXEC the file is no program the kernel knows how to run
execve ETXTBSY the program is open for writing
* EBADF no such descriptor: it is closed, or never was open
* ENOTSOCK the descriptor is not a socket
* EFAULT a pointer leads outside the program's memory
* EINTR a signal came before the call was done
* EAGAIN it would have to wait, and was asked not to
* EMFILE this process has no free descriptor left (RLIMIT_NOFILE)
* ENFILE the whole system has no free file left
* ENOMEM the kernel has not enough memory
* ENOBUFS the kernel has not enough memory for it
* EINVAL an argument is not valid
* EPERM the kernel does not permit it
* EACCES permission denied
* ENOSYS this kernel has no such call, or a filter refuses it
* EOPNOTSUPP this kind of descriptor does not support it
* ENOENT there is no such file
* EPIPE nobody is left to read what is written
"""
"""Call, errno, meaning. A call that has none of its own uses those of its family, then those of "*"."""

FAMILIES = {
    "socketpair": "socket",
    "accept4": "accept",
    "readv": "read",
    "pread64": "read",
    "preadv": "read",
    "preadv2": "read",
    "recvfrom": "read",
    "recvmsg": "read",
    "recvmmsg": "read",
    "writev": "write",
    "pwrite64": "write",
    "pwritev": "write",
    "pwritev2": "write",
    "sendto": "write",
    "sendmsg": "write",
    "sendmmsg": "write",
    "sendfile": "write",
    "splice": "write",
    "dup2": "dup",
    "dup3": "dup",
    "openat": "open",
    "openat2": "open",
    "creat": "open",
    "pipe2": "pipe",
    "pselect6": "select",
    "ppoll": "poll",
    "epoll_pwait": "epoll_wait",
    "epoll_pwait2": "epoll_wait",
    "vfork": "fork",
    "clone": "fork",
    "clone3": "fork",
    "wait4": "wait",
    "waitid": "wait",
    "tgkill": "kill",
    "tkill": "kill",
    "execveat": "execve",
}
"""The call whose errors another call shares."""
