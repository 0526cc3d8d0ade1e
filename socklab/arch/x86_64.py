"""x86-64, the 64-bit ABI: system call numbers, registers, and the instructions that make calls.

Each block of `_CALLS` is a first number and the names that follow one another from there; the kernel never gives a
number twice.
Sources: asm/unistd_64.h and arch/x86/entry/syscalls/syscall_64.tbl up to Linux 6.18; sys/user.h, linux/audit.h, elf.h;
System V ABI x86-64, 3.2.2 The Stack Frame, 3.6.2 DWARF Register Number Mapping; Intel SDM, CALL, SYSCALL.
"""

from __future__ import annotations

from collections.abc import Callable

from socklab.arch.model import Arch, CallRegisters, DwarfRegisters, UserRegisters

_CALLS = """
0: read write open close stat fstat lstat poll lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn
    ioctl pread64 pwrite64 readv writev access pipe select sched_yield mremap msync mincore madvise shmget shmat
    shmctl dup dup2 pause nanosleep getitimer alarm setitimer getpid sendfile socket connect accept sendto recvfrom
    sendmsg recvmsg shutdown bind listen getsockname getpeername socketpair setsockopt getsockopt clone fork vfork
    execve exit wait4 kill uname semget semop semctl shmdt msgget msgsnd msgrcv msgctl fcntl flock fsync fdatasync
    truncate ftruncate getdents getcwd chdir fchdir rename mkdir rmdir creat link unlink symlink readlink chmod fchmod
    chown fchown lchown umask gettimeofday getrlimit getrusage sysinfo times ptrace getuid syslog getgid setuid setgid
    geteuid getegid setpgid getppid getpgrp setsid setreuid setregid getgroups setgroups setresuid getresuid setresgid
    getresgid getpgid setfsuid setfsgid getsid capget capset rt_sigpending rt_sigtimedwait rt_sigqueueinfo
    rt_sigsuspend sigaltstack utime mknod uselib personality ustat statfs fstatfs sysfs getpriority setpriority
    sched_setparam sched_getparam sched_setscheduler sched_getscheduler sched_get_priority_max sched_get_priority_min
    sched_rr_get_interval mlock munlock mlockall munlockall vhangup modify_ldt pivot_root _sysctl prctl arch_prctl
    adjtimex setrlimit chroot sync acct settimeofday mount umount2 swapon swapoff reboot sethostname setdomainname
    iopl ioperm create_module init_module delete_module get_kernel_syms query_module quotactl nfsservctl getpmsg
    putpmsg afs_syscall tuxcall security gettid readahead setxattr lsetxattr fsetxattr getxattr lgetxattr fgetxattr
    listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr tkill time futex sched_setaffinity
    sched_getaffinity set_thread_area io_setup io_destroy io_getevents io_submit io_cancel get_thread_area
    lookup_dcookie epoll_create epoll_ctl_old epoll_wait_old remap_file_pages getdents64 set_tid_address
    restart_syscall semtimedop fadvise64 timer_create timer_settime timer_gettime timer_getoverrun timer_delete
    clock_settime clock_gettime clock_getres clock_nanosleep exit_group epoll_wait epoll_ctl tgkill utimes vserver
    mbind set_mempolicy get_mempolicy mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    kexec_load waitid add_key request_key keyctl ioprio_set ioprio_get inotify_init inotify_add_watch inotify_rm_watch
    migrate_pages openat mkdirat mknodat fchownat futimesat newfstatat unlinkat renameat linkat symlinkat readlinkat
    fchmodat faccessat pselect6 ppoll unshare set_robust_list get_robust_list splice tee sync_file_range vmsplice
    move_pages utimensat epoll_pwait signalfd timerfd_create eventfd fallocate timerfd_settime timerfd_gettime accept4
    signalfd4 eventfd2 epoll_create1 dup3 pipe2 inotify_init1 preadv pwritev rt_tgsigqueueinfo perf_event_open
    recvmmsg fanotify_init fanotify_mark prlimit64 name_to_handle_at open_by_handle_at clock_adjtime syncfs sendmmsg
    setns getcpu process_vm_readv process_vm_writev kcmp finit_module sched_setattr sched_getattr renameat2 seccomp
    getrandom memfd_create kexec_file_load bpf execveat userfaultfd membarrier mlock2 copy_file_range preadv2 pwritev2
    pkey_mprotect pkey_alloc pkey_free statx io_pgetevents rseq uretprobe
424: pidfd_send_signal io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsconfig fsmount
    fspick pidfd_open clone3 close_range openat2 pidfd_getfd faccessat2 process_madvise epoll_pwait2 mount_setattr
    quotactl_fd landlock_create_ruleset landlock_add_rule landlock_restrict_self memfd_secret process_mrelease
    futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue
    statmount listmount lsm_get_self_attr lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat
    removexattrat open_tree_attr file_getattr file_setattr
"""


def _called(before: bytes, address: int, callee: int, word: Callable[[int], int]) -> int:
    """CALL: E8 rel32; FF /2."""
    relative = address + int.from_bytes(before[3:], "little", signed=True)
    if before[2] == 0xE8 and callee in (0, relative):
        return 2
    if before[1:3] == b"\xff\x15":  # through a word at a fixed place: the global offset table
        return 2 if callee in (0, word(relative)) else 0
    return int(any(before[-size] == 0xFF and before[1 - size] & 0x38 == 0x10 for size in (2, 3, 6, 7)))


ARCH = Arch(
    name="x86_64",
    calls=_CALLS,
    audit_arch=0xC000003E,
    elf_machine=62,
    user_registers=UserRegisters(ip=16 * 8, sp=19 * 8, fp=4 * 8),
    call_registers=CallRegisters(number=15 * 8, result=10 * 8),  # orig_rax, rax
    dwarf=DwarfRegisters(fp=6, sp=7),
    syscall_instruction=b"\x0f\x05",
    called=_called,
    open_flags="DIRECT=0o40000 LARGEFILE=0o100000 NOFOLLOW=0o400000 TMPFILE=0o20200000 DIRECTORY=0o200000",
    stat="dev:Q ino:Q nlink:Q mode:I uid:I gid:I _:I rdev:Q size:q blksize:q blocks:q "
    "atime:q atime_nsec:Q mtime:q mtime_nsec:Q ctime:q ctime_nsec:Q _:24s",
    epoll_event_bytes=12,  # packed here alone (linux/eventpoll.h, EPOLL_PACKED)
)
