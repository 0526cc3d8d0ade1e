"""Calls that wait for many descriptors at once: select, poll, epoll.

Holds data only, in the form that rows.py reads.

Source: select(2), poll(2), epoll_ctl(2), epoll_wait(2), whose parameter names these are.
"""

CALLS = """\
sigmask: signals that may not interrupt
epfd: the epoll instance

select(nfds: int, readfds: fd_set(nfds), writefds: fd_set(nfds), exceptfds: fd_set(nfds), timeout: timeval_left) ->
        select
pselect6(nfds: int, readfds: fd_set(nfds), writefds: fd_set(nfds), exceptfds: fd_set(nfds), timeout: timespec_left,
        sigmask: sigset_pair) -> select
    word=select stop=lesson
    Wait until one of the descriptors in the sets is ready. The kernel looks at every one of them.
    nfds: highest descriptor in any set, plus 1
    readfds: ready to be read?
    writefds: ready to be written?
    exceptfds: something exceptional?
    timeout: how long; NULL = for ever
    EBADF: a set names a descriptor that is not open
    EINVAL: nfds is negative or above RLIMIT_NOFILE, or the timeout is not valid
    EINTR: a signal came before any descriptor was ready

poll(fds: pollfds(nfds), nfds: int, timeout: milliseconds) -> poll
ppoll(fds: pollfds(nfds), nfds: int, tmo_p: timespec_left, sigmask: sigset, sigsetsize: size) -> poll
    word=poll stop=lesson
    Wait until one of the listed descriptors is ready. The kernel looks at every one of them.
    fds: which descriptors, and what for
    nfds: how many
    timeout: milliseconds to wait
    tmo_p: how long; NULL = for ever
    EINTR: a signal came before any descriptor was ready
    EINVAL: more entries than RLIMIT_NOFILE allows

epoll_create(size: int) -> fd
epoll_create1(flags: EPOLL_CREATE) -> fd
    word=epoll_create stop=lesson topic=descriptors
    Make an epoll instance: a list of descriptors that the kernel watches.

epoll_ctl(epfd: fd, op: EPOLL_OPERATIONS, fd: fd, event: epoll_event)
    stop=lesson
    Add a descriptor to the epoll instance's list, change it or take it off.
    op: what to do
    fd: the descriptor to watch
    event: what to wait for, and a number to hand back
    EEXIST: this descriptor is already on the list: EPOLL_CTL_MOD changes it
    ENOENT: this descriptor is not on the list: EPOLL_CTL_ADD puts it there
    EPERM: this kind of file cannot be waited for: a regular file or a directory
    EINVAL: epfd is no epoll instance, or is itself the descriptor to add
    ENOSPC: too many descriptors are watched (/proc/sys/fs/epoll/max_user_watches)
    ELOOP: epoll instances would watch one another in a circle

epoll_wait(epfd: fd, events: epoll_events, maxevents: int, timeout: milliseconds) -> ready
epoll_pwait(epfd: fd, events: epoll_events, maxevents: int, timeout: milliseconds, sigmask: sigset, sigsetsize: size)
        -> ready
    word=epoll_wait stop=lesson
    Wait until a descriptor of the epoll instance is ready. The kernel hands over only those that are.
    events: what is ready
    maxevents: how many it can be told at once
    timeout: milliseconds to wait
    EINTR: a signal came before any descriptor was ready
    EINVAL: the descriptor is no epoll instance, or maxevents is not above zero

epoll_pwait2(epfd: fd, events: epoll_events, maxevents: int, timeout: timespec, sigmask: sigset, sigsetsize: size) ->
        ready
    word=epoll_wait stop=lesson
    Wait until a descriptor of the epoll instance is ready. The kernel hands over only those that are.
    events: what is ready
    maxevents: how many it can be told at once
    timeout: how long; NULL = for ever
"""
