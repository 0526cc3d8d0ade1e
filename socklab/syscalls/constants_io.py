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
F_SETOWN who is told by a signal that something can be read or written
F_SETSIG which signal tells it
""",
)
LOCKS = Names("F_???", {0: "F_RDLCK", 1: "F_WRLCK", 2: "F_UNLCK"})
OWNERS = Names("F_OWNER_???", sequence("F_OWNER_", "0: TID PID PGRP"))
SEALS = Flags("F_SEAL_???", bits("F_SEAL_", "SEAL=1 SHRINK=2 GROW=4 WRITE=8 FUTURE_WRITE=16"))
NOTIFY = Flags("DN_???", bits("DN_", "ACCESS=1 MODIFY=2 CREATE=4 DELETE=8 RENAME=16 ATTRIB=32 MULTISHOT=0x80000000"))
FLOCK = Flags(
    "LOCK_???",
    bits("LOCK_", "SH=1 EX=2 NB=4 UN=8"),
    "LOCK_SH others may read as well\nLOCK_EX nobody else\nLOCK_NB do not wait for it\nLOCK_UN give it back\n",
)
FD_FLAGS = Flags("FD_???", bits("FD_", "CLOEXEC=1"), "FD_CLOEXEC closed by itself at execve\n")

_REQUESTS = bits(
    "",
    """TCGETS=0x5401 TCSETS=0x5402 TCSETSW=0x5403 TCSETSF=0x5404 TIOCSCTTY=0x540E TIOCGPGRP=0x540F TIOCSPGRP=0x5410
    TIOCOUTQ=0x5411 TIOCGWINSZ=0x5413 TIOCSWINSZ=0x5414 FIONREAD=0x541B FIONBIO=0x5421 FIONCLEX=0x5450 FIOCLEX=0x5451
    FIOASYNC=0x5452 TIOCGPTN=0x80045430 TIOCSPTLCK=0x40045431 SIOCATMARK=0x8905 SIOCGIFNAME=0x8910 SIOCGIFCONF=0x8912
    SIOCGIFFLAGS=0x8913 SIOCSIFFLAGS=0x8914 SIOCGIFADDR=0x8915 SIOCSIFADDR=0x8916 SIOCGIFDSTADDR=0x8917
    SIOCSIFDSTADDR=0x8918 SIOCGIFBRDADDR=0x8919 SIOCSIFBRDADDR=0x891A SIOCGIFNETMASK=0x891B SIOCSIFNETMASK=0x891C
    SIOCGIFMETRIC=0x891D SIOCSIFMETRIC=0x891E SIOCGIFMTU=0x8921 SIOCSIFMTU=0x8922 SIOCSIFHWADDR=0x8924
    SIOCGIFHWADDR=0x8927 SIOCGIFINDEX=0x8933 SIOCGIFTXQLEN=0x8942 SIOCSIFTXQLEN=0x8943""",
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
SIOCGIFCONF ask for the addresses of all interfaces
SIOCGIFINDEX ask for the number of an interface
SIOCGIFNAME ask for the name of an interface, by its number
SIOCGIFFLAGS ask what an interface is and whether it is up
SIOCGIFADDR ask for an interface's address
SIOCGIFMTU ask how long a packet may be on this interface
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
TIMERFD_SET = Flags(
    "TFD_???",
    bits("TFD_TIMER_", "ABSTIME=1 CANCEL_ON_SET=2"),
    """
TFD_TIMER_ABSTIME at a time of the clock, not after a time
TFD_TIMER_CANCEL_ON_SET if the clock is set, it ends
""",
)
PIDFD = Flags("PIDFD_???", bits("PIDFD_", "NONBLOCK=0o4000"))
INOTIFY = Flags("IN_???", bits("IN_", "NONBLOCK=0o4000 CLOEXEC=0o2000000"))
INOTIFY_EVENTS = Flags(
    "IN_???",
    bits(
        "IN_",
        """ACCESS=0x1 MODIFY=0x2 ATTRIB=0x4 CLOSE_WRITE=0x8 CLOSE_NOWRITE=0x10 OPEN=0x20 MOVED_FROM=0x40 MOVED_TO=0x80
        CREATE=0x100 DELETE=0x200 DELETE_SELF=0x400 MOVE_SELF=0x800 UNMOUNT=0x2000 Q_OVERFLOW=0x4000 IGNORED=0x8000
        ONLYDIR=0x1000000 DONT_FOLLOW=0x2000000 EXCL_UNLINK=0x4000000 MASK_CREATE=0x10000000 MASK_ADD=0x20000000
        ISDIR=0x40000000 ONESHOT=0x80000000""",
    ),
)
FALLOCATE = Flags(
    "FALLOC_FL_???",
    bits(
        "FALLOC_FL_",
        "KEEP_SIZE=1 PUNCH_HOLE=2 NO_HIDE_STALE=4 COLLAPSE_RANGE=8 ZERO_RANGE=16 INSERT_RANGE=32 UNSHARE_RANGE=64",
    ),
)
FILE_TYPES = Names(
    "S_IF???",
    {1: "S_IFIFO", 2: "S_IFCHR", 4: "S_IFDIR", 6: "S_IFBLK", 8: "S_IFREG", 10: "S_IFLNK", 12: "S_IFSOCK"},
)
ENTRY_TYPES = Names("DT_???", sequence("DT_", "0: UNKNOWN FIFO CHR 4: DIR 6: BLK 8: REG 10: LNK 12: SOCK"))
STATX_MASK = Flags(
    "STATX_???",
    bits(
        "STATX_",
        """ALL=0xfff BASIC_STATS=0x7ff TYPE=0x1 MODE=0x2 NLINK=0x4 UID=0x8 GID=0x10 ATIME=0x20 MTIME=0x40 CTIME=0x80
        INO=0x100 SIZE=0x200 BLOCKS=0x400 BTIME=0x800 MNT_ID=0x1000""",
    ),
)
STATX_ATTRIBUTES = Flags(
    "STATX_ATTR_???",
    bits(
        "STATX_ATTR_",
        """COMPRESSED=0x4 IMMUTABLE=0x10 APPEND=0x20 NODUMP=0x40 ENCRYPTED=0x800 AUTOMOUNT=0x1000 MOUNT_ROOT=0x2000
        VERITY=0x100000 DAX=0x200000""",
    ),
)
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
IO_URING_SETUP = Flags(
    "IORING_SETUP_???",
    bits(
        "IORING_SETUP_",
        """IOPOLL=0x1 SQPOLL=0x2 SQ_AFF=0x4 CQSIZE=0x8 CLAMP=0x10 ATTACH_WQ=0x20 R_DISABLED=0x40 SUBMIT_ALL=0x80
        COOP_TASKRUN=0x100 TASKRUN_FLAG=0x200 SQE128=0x400 CQE32=0x800 SINGLE_ISSUER=0x1000 DEFER_TASKRUN=0x2000""",
    ),
    "IORING_SETUP_SQPOLL a thread of the kernel looks for submissions: no call is needed to submit\n",
)
IO_URING_FEATURES = Flags(
    "IORING_FEAT_???",
    bits(
        "IORING_FEAT_",
        """SINGLE_MMAP=0x1 NODROP=0x2 SUBMIT_STABLE=0x4 RW_CUR_POS=0x8 CUR_PERSONALITY=0x10 FAST_POLL=0x20
        POLL_32BITS=0x40 SQPOLL_NONFIXED=0x80 EXT_ARG=0x100 NATIVE_WORKERS=0x200 RSRC_TAGS=0x400 CQE_SKIP=0x800
        LINKED_FILE=0x1000""",
    ),
)
IO_URING_REGISTER = Names(
    "IORING_REGISTER_???",
    sequence(
        "IORING_",
        """0: REGISTER_BUFFERS UNREGISTER_BUFFERS REGISTER_FILES UNREGISTER_FILES REGISTER_EVENTFD UNREGISTER_EVENTFD
        REGISTER_FILES_UPDATE REGISTER_EVENTFD_ASYNC REGISTER_PROBE REGISTER_PERSONALITY UNREGISTER_PERSONALITY
        REGISTER_RESTRICTIONS REGISTER_ENABLE_RINGS REGISTER_FILES2 REGISTER_FILES_UPDATE2 REGISTER_BUFFERS2
        REGISTER_BUFFERS_UPDATE REGISTER_IOWQ_AFF UNREGISTER_IOWQ_AFF REGISTER_IOWQ_MAX_WORKERS REGISTER_RING_FDS
        UNREGISTER_RING_FDS REGISTER_PBUF_RING UNREGISTER_PBUF_RING REGISTER_SYNC_CANCEL REGISTER_FILE_ALLOC_RANGE""",
    ),
)
AT_FLAGS = Flags(
    "AT_???",
    bits(
        "AT_",
        "SYMLINK_NOFOLLOW=0x100 REMOVEDIR=0x200 SYMLINK_FOLLOW=0x400 NO_AUTOMOUNT=0x800 EMPTY_PATH=0x1000 "
        "STATX_FORCE_SYNC=0x2000 STATX_DONT_SYNC=0x4000 RECURSIVE=0x8000",
    ),
)
STATX_FLAGS = Flags("AT_STATX_???", {name: bit for name, bit in AT_FLAGS.bits.items() if "STATX" not in name})
STATX_SYNC = Names(
    "AT_STATX_???", {0: "AT_STATX_SYNC_AS_STAT", 0x2000: "AT_STATX_FORCE_SYNC", 0x4000: "AT_STATX_DONT_SYNC"}
)
ACCESS = Flags("?_OK", bits("", "R_OK=4 W_OK=2 X_OK=1"))
