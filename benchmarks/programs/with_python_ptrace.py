"""The same job by python-ptrace's own debugger loop: every syscall formatted to a file. argv: FILE PROGRAM ARGS..."""

from __future__ import annotations

import sys

from ptrace.debugger import ProcessExit, ProcessSignal, PtraceDebugger
from ptrace.debugger.child import createChild
from ptrace.func_call import FunctionCallOptions

WANTED = {"socket", "bind", "listen", "accept", "read", "write", "close", "setsockopt", "connect"}


def main() -> None:
    options = FunctionCallOptions()
    debugger = PtraceDebugger()
    process = debugger.addProcess(createChild(sys.argv[2:], no_stdout=False, env=None), is_attached=True)
    with open(sys.argv[1], "w") as kept:
        process.syscall()
        while True:
            try:
                event = debugger.waitSyscall()
            except ProcessExit:
                break
            except ProcessSignal as signal:
                signal.process.syscall(signal.signum)
                continue
            syscall = event.process.syscall_state.event(options)
            if syscall is not None and syscall.name in WANTED and syscall.result is not None:
                print(syscall.format(), "=", syscall.result_text, file=kept)
            event.process.syscall()
    debugger.quit()


if __name__ == "__main__":
    main()
