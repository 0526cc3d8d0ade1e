"""Constants of descriptors and of waiting: open flags, fcntl and ioctl, poll and epoll. Holds data only.

Source: asm-generic/fcntl.h (some flags of open are in `arch/`), asm-generic/ioctls.h, poll.h,
sys/epoll.h, linux/io_uring.h; meanings after open(2), fcntl(2), poll(2), epoll_ctl(2).
"""

from __future__ import annotations

from functools import cache

from socklab import arch as machines
from socklab.syscalls.symbols import Flags, Names, bits, sequence

# In strace's order; 0 = the architecture's own.
_OPEN_BITS = bits(
    "O_",
    """CREAT=0o100 EXCL=0o200 NOCTTY=0o400 TRUNC=0o1000 APPEND=0o2000 NONBLOCK=0o4000 SYNC=0o4010000 DSYNC=0o10000
    DIRECT=0 LARGEFILE=0 NOFOLLOW=0 NOATIME=0o1000000 CLOEXEC=0o2000000 PATH=0o10000000 TMPFILE=0 DIRECTORY=0
    ASYNC=0o20000""",
)
_OPEN_MEANINGS = """
O_CREAT make the file if there is none
O_EXCL it must be made now
O_TRUNC empty it
O_APPEND every write goes to the end
O_NONBLOCK its calls never wait: they fail with EAGAIN instead
O_CLOEXEC closed by itself when the program runs another with execve
O_DIRECTORY it must be a directory
"""

ACCESS_MODES = Names(
    "O_???",
    {0: "O_RDONLY", 1: "O_WRONLY", 2: "O_RDWR", 3: "O_ACCMODE"},
    """
O_RDONLY for reading
O_WRONLY for writing
O_RDWR for reading and writing
""",
)


@cache
def open_flags(arch: str) -> Flags:
    """Flags of open beside the access mode, which is a number in the two lowest bits."""
    own = bits("O_", machines.of(arch).open_flags)
    return Flags("O_???", {name: bit or own[name] for name, bit in _OPEN_BITS.items()}, _OPEN_MEANINGS)


SEEK = Names("SEEK_???", sequence("SEEK_", "0: SET CUR END DATA HOLE"))

FCNTL = Names(
    "F_???",
    sequence("F_", "0: DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW SETOWN GETOWN SETSIG GETSIG 15: SETOWN_EX")
    | sequence("F_", "16: GETOWN_EX GETOWNER_UIDS 36: OFD_GETLK OFD_SETLK OFD_SETLKW 1024: SETLEASE GETLEASE NOTIFY")
    | sequence("F_", "1030: DUPFD_CLOEXEC SETPIPE_SZ GETPIPE_SZ ADD_SEALS GET_SEALS"),
    """
F_DUPFD give a copy of the descriptor, at this number or above
F_DUPFD_CLOEXEC as F_DUPFD, and the copy closes by itself at execve
F_GETFD read the descriptor's own flag: close at execve?
F_SETFD set the descriptor's own flag: close at execve?
F_GETFL read the flags of the open file: access mode, O_NONBLOCK ...
F_SETFL set the flags of the open file, O_NONBLOCK above all
F_GETLK ask who holds a lock
F_SETLK take or drop a lock, without waiting
F_SETLKW take a lock, waiting for it
""",
)
LOCKS = Names("F_???", {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"})
FD_FLAGS = Flags("FD_???", bits("FD_", "CLOEXEC=1"), "FD_CLOEXEC closed by itself at execve\n")

_REQUESTS = bits(
    "",
    """TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TCSETSF=0x5404 TIOCSCTTY=0x540E TIOCGPGRP=0x540F TIOCSPGRP=0x5410
    TIOCOUTQ=0x5411 TIOCGWINSZ=0x5413 TIOCSWINSZ=0x5414 FIONREAD=0x541B FIONBIO=0x5421 FIONCLEX=0x5450 FIOCLEX=0x5451
    FIOASYNC=0x5452 TIOCGPTN=0x80045430 TIOCSPTLCK=0x40045431 SIOCATMARK=0x8905 SIOCGIFCONF=0x8912 SIOCGIFFLAGS=0x8913
    SIOCSIFFLAGS=0x8914 SIOCGIFADDR=0x8915 SIOCGIFHWADDR=0x8927 SIOCGIFINDEX=0x8933""",
)
IOCTL = Names(
    "",
    {value: name for name, value in _REQUESTS.items()},
    """
FIONREAD how many bytes wait to be read
TIOCOUTQ how many bytes were written and are not acknowledged yet
FIONBIO switch non-blocking on or off
FIOCLEX close this descriptor by itself at execve
FIONCLEX keep this descriptor open over execve
TCGETS ask for the settings of a terminal; fails on anything else
TIOCGWINSZ ask for the size of a terminal
""",
)

POLL_EVENTS = Flags(
    "POLL???",
    bits(
        "POLL",
        """IN=0x1 PRI=0x2 OUT=0x4 ERR=0x8 HUP=0x10 NVAL=0x20 RDNORM=0x40 RDBAND=0x80 WRNORM=0x100 WRBAND=0x200
        MSG=0x400 REMOVE=0x1000 RDHUP=0x2000 _BUSY_LOOP=0x8000""",
    ),
    """
POLLIN there is something to read, or a connection to accept
POLLOUT a write would not wait
POLLPRI urgent data
POLLERR an error is waiting
POLLHUP both directions are shut
POLLRDHUP the other side will send no more
POLLNVAL no such descriptor
""",
)

EPOLL_EVENTS = Flags(
    "EPOLL???",
    bits(
        "EPOLL",
        """IN=0x1 PRI=0x2 OUT=0x4 ERR=0x8 HUP=0x10 NVAL=0x20 RDNORM=0x40 RDBAND=0x80 WRNORM=0x100 WRBAND=0x200
        MSG=0x400 RDHUP=0x2000 EXCLUSIVE=0x10000000 WAKEUP=0x20000000 ONESHOT=0x40000000 ET=0x80000000""",
    ),
    """
EPOLLIN there is something to read, or a connection to accept
EPOLLOUT a write would not wait
EPOLLPRI urgent data
EPOLLERR an error is waiting
EPOLLHUP both directions are shut
EPOLLRDHUP the other side will send no more
EPOLLET told once when something new arrives, not for as long as it lies there
EPOLLONESHOT told once, then switched off until EPOLL_CTL_MOD
EPOLLEXCLUSIVE of several waiting processes wake as few as possible
""",
)

EPOLL_OPERATIONS = Names(
    "EPOLL_CTL_???",
    sequence("EPOLL_CTL_", "1: ADD DEL MOD"),
    """
EPOLL_CTL_ADD put this descriptor on the list
EPOLL_CTL_DEL take this descriptor off the list
EPOLL_CTL_MOD change what is waited for
""",
)
EPOLL_CREATE = Flags("EPOLL_???", bits("EPOLL_", "CLOEXEC=0o2000000"), "EPOLL_CLOEXEC closed by itself at execve\n")
EVENTFD = Flags("EFD_???", bits("EFD_", "SEMAPHORE=1 CLOEXEC=0o2000000 NONBLOCK=0o4000"))
SIGNALFD = Flags("SFD_???", bits("SFD_", "CLOEXEC=0o2000000 NONBLOCK=0o4000"))
TIMERFD = Flags("TFD_???", bits("TFD_", "CLOEXEC=0o2000000 NONBLOCK=0o4000"))
MEMFD = Flags("MFD_???", bits("MFD_", "CLOEXEC=1 ALLOW_SEALING=2 HUGETLB=4 NOEXEC_SEAL=8 EXEC=16"))
CLOSE_RANGE = Flags("CLOSE_RANGE_???", bits("CLOSE_RANGE_", "UNSHARE=2 CLOEXEC=4"))
SPLICE = Flags("SPLICE_F_???", bits("SPLICE_F_", "MOVE=1 NONBLOCK=2 MORE=4 GIFT=8"))
READ_WRITE = Flags("RWF_???", bits("RWF_", "HIPRI=1 DSYNC=2 SYNC=4 NOWAIT=8 APPEND=16 NOAPPEND=32"))
IO_URING_OPERATIONS = Names(
    "IORING_OP_???",
    sequence(
        "IORING_OP_",
        """NOP READV WRITEV FSYNC READ_FIXED WRITE_FIXED POLL_ADD POLL_REMOVE SYNC_FILE_RANGE SENDMSG RECVMSG TIMEOUT
        TIMEOUT_REMOVE ACCEPT ASYNC_CANCEL LINK_TIMEOUT CONNECT FALLOCATE OPENAT CLOSE FILES_UPDATE STATX READ WRITE
        FADVISE MADVISE SEND RECV OPENAT2 EPOLL_CTL SPLICE PROVIDE_BUFFERS REMOVE_BUFFERS TEE SHUTDOWN RENAMEAT UNLINKAT
        MKDIRAT SYMLINKAT LINKAT MSG_RING FSETXATTR SETXATTR FGETXATTR GETXATTR SOCKET URING_CMD SEND_ZC SENDMSG_ZC
        READ_MULTISHOT WAITID FUTEX_WAIT FUTEX_WAKE FUTEX_WAITV FIXED_FD_INSTALL FTRUNCATE BIND LISTEN RECV_ZC
        EPOLL_WAIT READV_FIXED WRITEV_FIXED PIPE""",
    ),
)
IO_URING_ENTER = Flags(
    "IORING_ENTER_???",
    bits("IORING_ENTER_", "GETEVENTS=1 SQ_WAKEUP=2 SQ_WAIT=4 EXT_ARG=8 REGISTERED_RING=16"),
    "IORING_ENTER_GETEVENTS wait for completions\nIORING_ENTER_SQ_WAKEUP wake the kernel's polling thread\n",
)
AT_FLAGS = Flags(
    "AT_???",
    bits(
        "AT_",
        "SYMLINK_NOFOLLOW=0x100 REMOVEDIR=0x200 SYMLINK_FOLLOW=0x400 NO_AUTOMOUNT=0x800 EMPTY_PATH=0x1000 "
        "STATX_FORCE_SYNC=0x2000 STATX_DONT_SYNC=0x4000 RECURSIVE=0x8000",
    ),
)
ACCESS = Flags("?_OK", bits("", "R_OK=4 W_OK=2 X_OK=1"))
