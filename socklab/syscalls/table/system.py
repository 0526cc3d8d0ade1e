"""Limits, memory, sleep and the numbers of a process: a trace is full of them, a lesson seldom about them.

Holds data only, in the form that rows.py reads.

Source: getrlimit(2), mmap(2), nanosleep(2), getpid(2), whose parameter names these are.
"""

CALLS = """\
resource: which limit

prlimit64(pid: int, resource: RESOURCES, new_limit: rlimit, old_limit: rlimit_out)
    Ask or set a limit.
    pid: of which process; 0 = this one

getrlimit(resource: RESOURCES, rlim: rlimit_out)
    Ask for a limit.

setrlimit(resource: RESOURCES, rlim: rlimit)
    Set a limit.

mmap(addr: pointer, length: size, prot: PROTECTION, flags: map_flags, fd: fd, offset: hex) -> address
    Map memory or a file into the program's memory.
    prot: what may be done with it

munmap(addr: pointer, length: size)
    Give memory back.

mprotect(addr: pointer, len: size, prot: PROTECTION)
    Change what may be done with memory.
    prot: what may be done with it

brk(addr: pointer) -> address
    Move the end of the heap.

nanosleep(req: timespec, rem: pointer)
clock_nanosleep(clockid: CLOCKS, flags: hex, req: timespec, rem: pointer)
    Sleep.
    req: how long

getpid() -> number
    Ask for the number of this process.

getppid() -> number
    Ask for the number of the parent process.

gettid() -> number
    Ask for the number of this thread.

getuid() -> number
    Ask for the user.

geteuid() -> number
    Ask for the user whose rights count.

getgid() -> number
    Ask for the group.

getegid() -> number
    Ask for the group whose rights count.

setsid() -> number
    Start a new session.

set_robust_list(head: pointer, len: size)
    Tell the kernel of locks to release if the thread dies.

set_tid_address(tidptr: pointer) -> number
    Name the place to clear when the thread ends.

sched_yield()
    Let others run.

futex(...) -> number
"""
