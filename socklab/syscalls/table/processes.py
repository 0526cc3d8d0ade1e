"""Calls that make, end and wait for processes, run programs in them, and send signals.

Holds data only, in the form that rows.py reads.

Source: fork(2), clone(2), execve(2), wait4(2), kill(2), sigaction(2), whose parameter names these are.
"""

CALLS = """\
sig: which signal

fork() -> child
    word=fork stop=run topic=processes
    Make a copy of this process. Both go on from here, with copies of the same descriptors.
    EAGAIN: a limit on the number of processes or threads is reached (RLIMIT_NPROC, pids cgroup)
    ENOMEM: not enough memory

vfork() -> child
    word=fork stop=run topic=processes
    Make a child that borrows this process's memory until it runs another program.

clone(flags: clone_flags, stack: pointer, parent_tid: tid(flags), child_tid: pointer, tls: pointer) -> child
clone3(cl_args: clone_args(size), size: size) -> child
    word=fork,clone stop=run topic=processes
    Make a copy of this process, or a thread of it.
    flags: what is shared
    cl_args: what is shared

execve(pathname: path, argv: argv, envp: envp)
    word=exec stop=recorded
    Run another program in this process. Its descriptors stay open, except close-on-exec.
    pathname: the program
    argv: its arguments
    envp: its environment
    done: another program runs now
    ENOENT: there is no such program, or its interpreter is missing
    EACCES: the file is not executable, or a directory on the way may not be searched
    ENOEXEC: the file is no program the kernel knows how to run
    ETXTBSY: the program is open for writing

execveat(dirfd: dirfd, pathname: path, argv: argv, envp: envp, flags: hex)
    word=exec errors=execve stop=recorded
    Run another program in this process.
    argv: its arguments
    envp: its environment

exit(status: int) -> none
    word=exit stop=named topic=processes
    End this thread.
    status: 0 = all went well

exit_group(status: int) -> none
    word=exit stop=named topic=processes
    End the process. The kernel closes its descriptors.
    status: 0 = all went well

wait4(pid: int, wstatus: wait_status, options: WAIT, rusage: pointer) -> waited
    word=wait stop=run topic=processes
    Wait for a child to end, and collect how it did.
    pid: which child; -1 = any
    wstatus: how it ended
    ECHILD: there is no child to wait for
    EINTR: a signal came before a child changed state

waitid(idtype: WAIT_FOR, id: int, infop: siginfo_out, options: WAIT, rusage: pointer)
    word=wait errors=wait4 stop=run topic=processes
    Wait for a child to change state.
    infop: which child, and what became of it

kill(pid: int, sig: signal)
    stop=recorded
    Send a signal to a process.
    pid: to whom
    ESRCH: there is no such process
    EPERM: no permission to send a signal to that process

tkill(tid: int, sig: signal)
    errors=kill stop=named
    Send a signal to a thread.
    tid: to whom

tgkill(tgid: int, tid: int, sig: signal)
    errors=kill stop=named
    Send a signal to a thread of a process.
    tid: to whom

pidfd_send_signal(pidfd: fd, sig: signal, info: siginfo, flags: hex)
    errors=kill stop=named
    Send a signal to the process a descriptor stands for.
    pidfd: to whom

rt_sigqueueinfo(tgid: int, sig: signal, uinfo: siginfo)
    errors=kill stop=named
    Send a signal, with a value, to a process.
    tgid: to whom
    uinfo: who says to have sent it, and the value

rt_tgsigqueueinfo(tgid: int, tid: int, sig: signal, uinfo: siginfo)
    errors=kill stop=named
    Send a signal, with a value, to a thread.
    tid: to whom
    uinfo: who says to have sent it, and the value

rt_sigtimedwait(set: sigset, info: siginfo_out, timeout: timespec, sigsetsize: size) -> signal
    stop=named
    Wait until one of these signals comes, and take it: no handler runs.
    set: which signals
    info: what is known of the one that came
    timeout: how long; NULL = for ever
    EAGAIN: none came in time

rt_sigsuspend(mask: sigset, sigsetsize: size)
    stop=named
    Sleep until a signal comes that is not held back.
    mask: signals held back meanwhile
    EINTR: a signal came, and its handler has run

rt_sigpending(set: sigset_out, sigsetsize: size)
    stop=named
    Ask which signals have come and are held back.

rt_sigaction(signum: signal, act: sigaction, oldact: sigaction_out, sigsetsize: size)
    stop=named
    Say what is to happen when a signal comes.
    signum: which signal
    act: what from now on
    oldact: what until now

rt_sigprocmask(how: PROCMASK, set: sigset, oldset: sigset_out, sigsetsize: size)
    Hold back signals, or let them through again.

pause() -> number
    stop=named
    Sleep until a signal comes.

alarm(seconds: uint) -> number
    Ask for SIGALRM after a time.
"""
