"""Files by name, and what only files have: open, stat, seek, directories.

Holds data only, in the form that rows.py reads.

Source: the manual pages of each call, section 2, whose parameter names these are.
"""

CALLS = """\
pathname: the file
dirfd: where a relative path starts
fd: the descriptor

open(pathname: path, flags: open_flags, mode: open_mode(flags)) -> fd
openat(dirfd: dirfd, pathname: path, flags: open_flags, mode: open_mode(flags)) -> fd
openat2(dirfd: dirfd, pathname: path, how: open_how(size), size: size) -> fd
    word=open stop=named topic=descriptors
    Open a file and give the program a descriptor for it.
    flags: how it is opened
    mode: permissions of a new file
    ENOENT: there is no such file
    EACCES: no permission to open this file so, or to search a directory on the way
    EMFILE: this process has no free descriptor left (RLIMIT_NOFILE)
    ENFILE: the whole system has no free file left
    EEXIST: the file exists already, and O_CREAT with O_EXCL demands a new one
    EISDIR: it is a directory and cannot be opened for writing
    ENOTDIR: something on the way is not a directory
    ELOOP: too many symbolic links on the way
    ENXIO: a FIFO without a reader, or a socket: those are not opened by path
    EROFS: the file system is read-only
    ETXTBSY: the file is a program that is running

creat(pathname: path, mode: octal) -> fd
    word=open stop=named topic=descriptors
    Make or empty a file and open it for writing.
    mode: permissions of a new file

stat(pathname: path, statbuf: stat_out)
    Ask about a file.

newfstatat(dirfd: dirfd, pathname: path, statbuf: stat_out, flags: AT_FLAGS)
    errors=stat stop=named only=3:0x1000
    Ask about a file; with AT_EMPTY_PATH and "", what kind of file the descriptor stands for.
    dirfd: what is asked about; without AT_EMPTY_PATH, where a relative path starts

statx(dirfd: dirfd, pathname: path, flags: statx_flags, mask: STATX_MASK, statxbuf: statx_out)
    errors=stat stop=named only=2:0x1000
    Ask about a file; with AT_EMPTY_PATH and "", what kind of file the descriptor stands for.
    dirfd: what is asked about; without AT_EMPTY_PATH, where a relative path starts
    mask: what is wanted of it

lstat(pathname: path, statbuf: stat_out)
    Ask about a file or link.

access(pathname: path, mode: ACCESS)
faccessat(dirfd: dirfd, pathname: path, mode: ACCESS)
    Ask whether a file may be used.

unlink(pathname: path)
unlinkat(dirfd: dirfd, pathname: path, flags: AT_FLAGS)
    Remove a name of a file.

mkdir(pathname: path, mode: octal)
    Make a directory.
    mode: permissions of a new file

rmdir(pathname: path)
    Remove an empty directory.

chdir(pathname: path)
    Change the current directory.

readlink(pathname: path, buf: buffer_out(bufsiz), bufsiz: size) -> number
    Read where a link leads.

fstat(fd: fd, statbuf: stat_out)
    stop=named
    Ask what kind of file the descriptor stands for.

fsync(fd: fd)
    stop=named
    Wait until the file is safe on its disk.

fdatasync(fd: fd)
    stop=named
    Wait until the file's data is safe on its disk.

ftruncate(fd: fd, length: long)
    stop=named
    Set the size of a file.

lseek(fd: fd, offset: long, whence: SEEK) -> number
    stop=named
    Move the position in a file.
    offset: where in the file
    ESPIPE: a pipe or a socket has no position

getdents(fd: fd, dirp: entries, count: size) -> number
getdents64(fd: fd, dirp: entries, count: size) -> number
    stop=named
    Read entries of a directory.
    dirp: the entries
    count: how many bytes at most

memfd_create(pathname: path, flags: MEMFD) -> fd
    stop=named
    Make a file that lives in memory.

copy_file_range(fd_in: fd, off_in: offset, fd_out: fd, off_out: offset, len: size, flags: hex) -> sent
    stop=named
    Copy part of a file inside the kernel.
    fd_in: from
    fd_out: to
"""
