"""Calls on descriptors of any kind: read, write, close, dup, fcntl, ioctl, pipes, and what makes descriptors.

Holds data only, in the form that rows.py reads.

Source: the manual pages of each call, section 2, whose parameter names these are.
"""

CALLS = """\
fd: the descriptor
count: how many bytes at most
iov: buffers, one after the other
iovcnt: how many buffers

read(fd: fd, buf: buffer_out(count), count: size) -> received
readv(fd: fd, iov: iovec_out(iovcnt), iovcnt: int) -> received
    word=read stop=lesson topic=sockets
    Take bytes out of what the descriptor stands for; on a socket, out of its receive queue. Wait if there are none.
    buf: where the bytes go
    EAGAIN: nothing to read yet, and the call may not wait (O_NONBLOCK, MSG_DONTWAIT or a time limit)
    ENOTCONN: the socket is not connected (a listener never is): there is nothing to read from
    ECONNRESET: the other side reset the connection (RST); what was in flight is lost
    ETIMEDOUT: the connection was given up: nothing sent was acknowledged in time
    EINTR: a signal came before any data did
    EBADF: no such descriptor, or it is not open for reading
    EISDIR: the descriptor is a directory
    EFAULT: the buffer lies outside the program's memory
    ECONNREFUSED: an earlier packet was answered: nobody listens there

write(fd: fd, buf: buffer_in(count), count: size) -> sent
writev(fd: fd, iov: iovec_in(iovcnt), iovcnt: int) -> sent
    word=write stop=lesson topic=sockets
    Hand bytes to what the descriptor stands for; on a socket, to its send queue. Wait if there is no room.
    buf: the bytes
    EPIPE: no connection to write to (any more); SIGPIPE comes with it and kills, unless ignored or MSG_NOSIGNAL is set
    ECONNRESET: the other side reset the connection (RST)
    EAGAIN: no room in the send buffer, and the call may not wait (O_NONBLOCK, MSG_DONTWAIT or a time limit)
    ENOTCONN: the socket is not connected and no destination was given
    EDESTADDRREQ: the socket has no peer and no destination was given
    EMSGSIZE: the message is too long to be sent whole, as this type of socket demands
    EINTR: a signal came before any data was taken
    EBADF: no such descriptor, or it is not open for writing
    EFAULT: the buffer lies outside the program's memory
    ENOBUFS: the queue of the network interface is full
    ENETUNREACH: no route to that network
    EHOSTUNREACH: no way to that host
    ETIMEDOUT: the connection was given up: nothing sent was acknowledged in time
    EISCONN: the socket is connected and a destination was given as well
    ENOSPC: the device has no room left

pread64(fd: fd, buf: buffer_out(count), count: size, offset: long) -> received
preadv(fd: fd, iov: iovec_out(iovcnt), iovcnt: int, offset: long) -> received
preadv2(fd: fd, iov: iovec_out(iovcnt), iovcnt: int, offset: long, _: hex, flags: READ_WRITE) -> received
    errors=read stop=named
    Read at a place in a file.
    buf: where the bytes go
    offset: where in the file
    ESPIPE: a pipe or a socket has no position

pwrite64(fd: fd, buf: buffer_in(count), count: size, offset: long) -> sent
pwritev(fd: fd, iov: iovec_in(iovcnt), iovcnt: int, offset: long) -> sent
pwritev2(fd: fd, iov: iovec_in(iovcnt), iovcnt: int, offset: long, _: hex, flags: READ_WRITE) -> sent
    errors=write stop=named
    Write at a place in a file.
    buf: the bytes
    offset: where in the file

close(fd: fd)
    stop=lesson topic=descriptors
    Give the descriptor back. If it was a connection's last one, the connection is closed: a FIN goes out, or an RST if
        unread data is left.
    done: the descriptor is free again
    EBADF: no such descriptor: it is already closed, or never was open
    EIO: writing back failed; the descriptor is closed all the same
    EINTR: a signal came; on Linux the descriptor is closed all the same

close_range(first: fd_range(last), last: uint, flags: CLOSE_RANGE)
    stop=lesson topic=descriptors
    Close all descriptors of a range.
    first: from
    last: to, inclusive

dup(oldfd: fd) -> fd
dup2(oldfd: fd, newfd: newfd) -> fd
dup3(oldfd: fd, newfd: newfd, flags: pipe_flags) -> fd
    word=dup stop=lesson topic=descriptors
    Give the same open file or socket a second descriptor.
    oldfd: the descriptor to copy
    newfd: the number of the copy; closed first if it is open
    EBADF: oldfd is not open, or newfd is out of range
    EMFILE: this process has no free descriptor left (RLIMIT_NOFILE)

fcntl(fd: fd, cmd: FCNTL, arg: fcntl_arg(cmd)) -> fcntl
    stop=lesson
    Ask or change something about a descriptor.
    cmd: what
    EAGAIN: the lock is held by another process
    EINVAL: the command or its argument is not valid here

ioctl(fd: fd, request: ioctl_request, argp: ioctl_arg(request))
    stop=named
    Ask or change something that only this kind of file has.
    request: what
    ENOTTY: the descriptor is not of the kind this request is for
    EINVAL: the request or its argument is not valid

pipe(pipefd: fd_pair)
pipe2(pipefd: fd_pair, flags: pipe_flags)
    word=pipe stop=named topic=descriptors
    Make a pipe: what is written to the second descriptor is read from the first.
    done: two new descriptors
    EMFILE: this process has no free descriptor left (RLIMIT_NOFILE)

sendfile(out_fd: fd, in_fd: fd, offset: offset_moved, count: size) -> sent
    errors=write stop=lesson topic=sockets
    Send part of a file without bringing it into the program's memory.
    out_fd: where to
    in_fd: the file
    offset: where in the file; NULL = its own position
    EAGAIN: the output is non-blocking and cannot take more now
    EINVAL: the descriptor cannot be used this way: the input must be a file the kernel can map

splice(fd_in: fd, off_in: offset, fd_out: fd, off_out: offset, len: size, flags: SPLICE) -> sent
    errors=write stop=lesson
    Move data between a pipe and another descriptor inside the kernel.
    fd_in: from
    fd_out: to

tee(fd: fd, fd_out: fd, len: size, flags: SPLICE) -> sent
    stop=named
    Copy data from one pipe to another.

eventfd(initval: uint) -> fd
eventfd2(initval: uint, flags: EVENTFD) -> fd
    word=eventfd stop=named
    Make a counter that can be waited for.

vmsplice(fd: fd, iov: iovec_in(nr_segs), nr_segs: size, flags: SPLICE) -> sent
    errors=splice stop=named
    Put memory of the program into a pipe without a copy.
    nr_segs: how many buffers

flock(fd: fd, operation: FLOCK)
    stop=named
    Lock the whole file, or give the lock back.
    operation: which lock
    EAGAIN: another process holds a lock that excludes this one

fallocate(fd: fd, mode: FALLOCATE, offset: long, len: long)
    stop=named
    Make room for a file on its disk.

signalfd(fd: anyfd, mask: sigset_sized(sizemask), sizemask: size) -> fd
signalfd4(fd: anyfd, mask: sigset_sized(sizemask), sizemask: size, flags: SIGNALFD) -> fd
    stop=named
    Receive signals through a descriptor.
    fd: -1 = a new one; else the one whose signals are changed
    mask: which signals
    EINVAL: the descriptor is no signalfd, or a size or flag is wrong

timerfd_create(clockid: CLOCKS, flags: TIMERFD) -> fd
    stop=named
    Make a clock whose ticks are read from a descriptor.

timerfd_settime(fd: fd, flags: TIMERFD_SET, new_value: itimerspec, old_value: itimerspec_out)
    stop=named
    Say when the timer goes off, or switch it off.
    new_value: when from now on
    old_value: when until now
    EINVAL: the descriptor is no timer, or a flag or time is not valid
    ECANCELED: the clock was set meanwhile

timerfd_gettime(fd: fd, curr_value: itimerspec_out)
    stop=named
    Ask when the timer goes off.
    curr_value: how long until then
    EINVAL: the descriptor is no timer

inotify_init() -> fd
inotify_init1(flags: INOTIFY) -> fd
    stop=named
    Make a descriptor from which changes of files can be read.
    EMFILE: no free descriptor left, or the user has too many of these (fs.inotify.max_user_instances)

inotify_add_watch(fd: fd, pathname: path, mask: INOTIFY_EVENTS) -> number
    stop=named
    Watch a file or directory; the result names the watch.
    pathname: what to watch
    mask: for what
    ENOSPC: too many watches (fs.inotify.max_user_watches)

inotify_rm_watch(fd: fd, wd: int)
    stop=named
    Watch something no longer.
    wd: which watch
    EINVAL: no such watch

pidfd_open(pid: int, flags: PIDFD) -> fd
    stop=named
    Give the program a descriptor for a process: it can be waited for, and never means another process.
    pid: which process
    ESRCH: there is no such process

pidfd_getfd(pidfd: anyfd, targetfd: remote_fd(pidfd), flags: hex) -> fd
    stop=lesson topic=descriptors
    Get a descriptor of one's own for what a descriptor of another process stands for.
    pidfd: the other process
    targetfd: the descriptor there
    done: the same file or socket has a descriptor here too
    EPERM: the process may not be traced, which this takes
    EBADF: the other process has no such descriptor, or pidfd is not open
    ESRCH: the process has ended

io_uring_setup(entries: uint, params: io_uring_params) -> fd
    stop=run topic=descriptors
    Make an io_uring: two rings of memory shared with the kernel.
    entries: how many submissions fit
    params: what kind of rings; after the call, what came of it
    EPERM: the machine forbids io_uring (kernel.io_uring_disabled)
    ENOSYS: this kernel has no io_uring

io_uring_enter(fd: fd, to_submit: uint, min_complete: uint, flags: IO_URING_ENTER, sig: pointer, sz: size) -> count
    stop=run topic=descriptors
    Tell the kernel that submissions lie in the ring, and perhaps wait for completions.
    to_submit: how many are new
    min_complete: how many completions to wait for
    EINTR: a signal came before anything was complete

io_uring_register(fd: fd, opcode: IO_URING_REGISTER, arg: registered(opcode, nr_args), nr_args: uint) -> number
    stop=run topic=descriptors
    Hand buffers or descriptors to a ring once, instead of with each submission.
    opcode: what
    nr_args: how many
"""
