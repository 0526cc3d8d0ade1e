"""Constants of processes, signals and memory. Holds data only.

Source: linux/sched.h, asm-generic/signal.h, linux/wait.h, asm-generic/mman.h, asm-generic/resource.h; meanings after
clone(2), signal(7), waitpid(2), getrlimit(2).
"""

from __future__ import annotations

from socklab.syscalls.symbols import Flags, Names, bits, sequence

SIGNALS = Names(
    "SIG???",
    sequence(
        "SIG",
        """1: HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN
        TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS RTMIN""",
    )
    | {32 + at: f"SIGRT_{at}" for at in range(1, 33)},
    """
SIGPIPE written to a connection or pipe that nobody reads; kills unless handled or ignored
SIGCHLD a child has ended or stopped
SIGTERM please end
SIGKILL end now; cannot be caught
SIGINT Ctrl-C
SIGHUP the terminal is gone
SIGSEGV touched memory that is not its own
""",
)

CLONE = Flags(
    "CLONE_???",
    bits(
        "CLONE_",
        """VM=0x100 FS=0x200 FILES=0x400 SIGHAND=0x800 PIDFD=0x1000 PTRACE=0x2000 VFORK=0x4000 PARENT=0x8000
        THREAD=0x10000 NEWNS=0x20000 SYSVSEM=0x40000 SETTLS=0x80000 PARENT_SETTID=0x100000 CHILD_CLEARTID=0x200000
        DETACHED=0x400000 UNTRACED=0x800000 CHILD_SETTID=0x1000000 NEWCGROUP=0x2000000 NEWUTS=0x4000000
        NEWIPC=0x8000000 NEWUSER=0x10000000 NEWPID=0x20000000 NEWNET=0x40000000 IO=0x80000000
        CLEAR_SIGHAND=0x100000000 INTO_CGROUP=0x200000000""",
    ),
    """
CLONE_VM shares its memory
CLONE_FILES shares its descriptor table
CLONE_THREAD a thread of the same process
CLONE_VFORK the parent sleeps until the child runs another program or ends
CLONE_NEWNET in a network of its own
""",
)
CLONE_SETTLS = 0x80000
CLONE_PARENT_SETTID = 0x100000
CLONE_CHILD_CLEARTID = 0x200000
CLONE_CHILD_SETTID = 0x1000000
CLONE_PIDFD = 0x1000
CLONE_VM = 0x100
CLONE_FILES = 0x400
CLONE_THREAD = 0x10000

WAIT = Flags(
    "W???",
    bits("", "WNOHANG=1 WEXITED=4 WSTOPPED=2 WCONTINUED=8 WNOWAIT=0x1000000")
    | bits("", "__WCLONE=0x80000000 __WALL=0x40000000 __WNOTHREAD=0x20000000"),
    "WNOHANG do not wait: 0 if no child has ended\n",
)
WAIT_FOR = Names("P_???", sequence("P_", "0: ALL PID PGID PIDFD"))

SIGACTION = Flags(
    "SA_???",
    bits(
        "SA_",
        """RESTORER=0x4000000 ONSTACK=0x8000000 RESTART=0x10000000 INTERRUPT=0x20000000 NODEFER=0x40000000
        RESETHAND=0x80000000 SIGINFO=0x4 NOCLDSTOP=0x1 NOCLDWAIT=0x2""",
    ),
    "SA_RESTART calls that a signal interrupts start again by themselves\n",
)
HANDLERS = {0: "SIG_DFL", 1: "SIG_IGN"}
PROCMASK = Names("SIG_???", sequence("SIG_", "0: BLOCK UNBLOCK SETMASK"))

PROTECTION = Flags("PROT_???", bits("PROT_", "READ=1 WRITE=2 EXEC=4 GROWSDOWN=0x1000000 GROWSUP=0x2000000"))
MAP_FLAGS = Flags(
    "MAP_???",
    bits(
        "MAP_",
        """FIXED=0x10 ANONYMOUS=0x20 NORESERVE=0x4000 POPULATE=0x8000 NONBLOCK=0x10000 GROWSDOWN=0x100 DENYWRITE=0x800
        EXECUTABLE=0x1000 LOCKED=0x2000 STACK=0x20000 HUGETLB=0x40000 SYNC=0x80000 FIXED_NOREPLACE=0x100000""",
    ),
)
MAP_TYPES = Names("MAP_???", {1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"})

RESOURCES = Names(
    "RLIMIT_???",
    sequence(
        "RLIMIT_",
        """0: CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME""",
    ),
    """
RLIMIT_NOFILE how many descriptors the process may have
RLIMIT_NPROC how many processes the user may have
RLIMIT_STACK how large the stack may grow
""",
)
CLOCKS = Names(
    "CLOCK_???",
    sequence(
        "CLOCK_",
        """0: REALTIME MONOTONIC PROCESS_CPUTIME_ID THREAD_CPUTIME_ID MONOTONIC_RAW REALTIME_COARSE MONOTONIC_COARSE
        BOOTTIME REALTIME_ALARM BOOTTIME_ALARM 11: TAI""",
    ),
)
SIGNAL_CODES = Names(
    "SI_???",
    {0: "SI_USER", 0x80: "SI_KERNEL", -1: "SI_QUEUE", -2: "SI_TIMER", -3: "SI_MESGQ", -4: "SI_ASYNCIO", -5: "SI_SIGIO"}
    | {-6: "SI_TKILL"},
    """
SI_USER sent by kill
SI_TKILL sent by tgkill
SI_QUEUE sent by sigqueue, with a value
SI_KERNEL sent by the kernel
""",
)
CHILD_CODES = Names(
    "CLD_???",
    sequence("CLD_", "1: EXITED KILLED DUMPED TRAPPED STOPPED CONTINUED"),
    """
CLD_EXITED the child has ended by itself
CLD_KILLED a signal has killed the child
CLD_DUMPED a signal has killed the child, which left a core dump
CLD_STOPPED the child is stopped
CLD_CONTINUED the child goes on
""",
)
