"""Which calls belong together, and the few facts about a call that the engine asks on its hot path.

Only tables of names: small, and imported without the decoders. A name that an architecture lacks does no harm.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


SOCKET_CALLS = _names(
    """socket socketpair bind listen accept accept4 connect getsockopt setsockopt getsockname getpeername shutdown
    sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg"""
)

DESCRIPTOR_CALLS = _names(
    """read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close close_range dup dup2 dup3 fcntl
    ioctl open openat openat2 creat pipe pipe2 sendfile splice tee vmsplice copy_file_range select pselect6 poll ppoll
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2 signalfd signalfd4
    timerfd_create timerfd_settime timerfd_gettime inotify_init inotify_init1 memfd_create pidfd_open pidfd_getfd
    io_uring_setup io_uring_enter io_uring_register lseek fstat fsync fdatasync ftruncate getdents getdents64"""
)

PROCESS_CALLS = _names(
    """fork vfork clone clone3 execve execveat exit exit_group wait4 waitid kill tkill tgkill rt_sigaction
    rt_sigprocmask rt_sigreturn rt_sigsuspend pause nanosleep clock_nanosleep prlimit64 getrlimit setrlimit
    getpid getppid gettid setsid"""
)

LESSON_CALLS = SOCKET_CALLS | _names(
    """read write readv writev close close_range dup dup2 dup3 fcntl sendfile splice select pselect6 poll ppoll
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2"""
)
"""What a lesson's filter reports, so that no socket is born, moved or closed unseen. A lesson may name more."""

_FD_FIRST = _names(
    """bind listen accept accept4 connect getsockopt setsockopt getsockname getpeername shutdown sendto sendmsg
    sendmmsg recvfrom recvmsg recvmmsg read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 close
    dup dup2 dup3 fcntl ioctl sendfile splice tee vmsplice copy_file_range epoll_ctl epoll_wait epoll_pwait
    epoll_pwait2 io_uring_enter io_uring_register lseek fstat fsync fdatasync ftruncate getdents getdents64
    timerfd_settime timerfd_gettime fchdir fchmod fchown flock"""
)

_RETURNS_FD = _names(
    """socket accept accept4 open openat openat2 creat dup dup2 dup3 epoll_create epoll_create1 eventfd eventfd2
    signalfd signalfd4 timerfd_create inotify_init inotify_init1 memfd_create memfd_secret pidfd_open pidfd_getfd
    userfaultfd perf_event_open io_uring_setup fanotify_init open_by_handle_at mq_open"""
)

_MAKES_SOCKET = _names("socket socketpair accept accept4")

_MAY_BLOCK = _names(
    """accept accept4 connect read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 recvfrom recvmsg
    recvmmsg sendto sendmsg sendmmsg sendfile splice tee vmsplice select pselect6 poll ppoll epoll_wait epoll_pwait
    epoll_pwait2 io_uring_enter wait4 waitid pause nanosleep clock_nanosleep futex flock rt_sigsuspend
    rt_sigtimedwait"""
)


def fd_argument(name: str) -> int | None:
    """Index of the descriptor the call acts on (`sockfd` of accept, `oldfd` of dup); None = it takes none.

    A directory descriptor of the *at calls does not count: it names a place, nothing is done to it.
    """
    if name in _FD_FIRST:
        return 0
    return 4 if name == "mmap" else None


def returns_fd(name: str) -> bool:
    """Whether a result of 0 or more is a new descriptor. fcntl is not among them: only F_DUPFD gives one."""
    return name in _RETURNS_FD


def makes_socket(name: str) -> bool:
    """Whether a successful call gives the program a socket it did not have."""
    return name in _MAKES_SOCKET


def may_block(name: str) -> bool:
    """Whether the kernel may put the task to sleep in this call until something happens elsewhere.

    It does so only for descriptors without O_NONBLOCK, and close with SO_LINGER set is not counted.
    """
    return name in _MAY_BLOCK


RUN_CALLS = (
    LESSON_CALLS
    | DESCRIPTOR_CALLS
    | _names("""fork vfork clone clone3 execve execveat exit exit_group wait4 waitid kill tkill tgkill""")
)
"""What is recorded of a program of the user's own: `strace -e trace=network,desc` and the life of its processes.

Not in it: calls that only ask or wait (getppid, clock_nanosleep, rt_sigaction ...). They run at full speed.
"""
