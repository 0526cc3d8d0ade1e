"""The verbs of the command line: what may be typed, and nothing of how it is done.

In: argv. Out: an exit code; data on stdout, messages on stderr. Imports nothing of a verb before that verb is asked
for: `socklab --help` must cost no more than Python and click.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

# Imports make many objects and no garbage: looking for some costs a tenth of the start. Whoever runs on enables it.
gc.disable()

import click  # noqa: E402

from socklab import __version__  # noqa: E402
from socklab.core.errors import MachineError, SocklabError  # noqa: E402

if TYPE_CHECKING:
    from socklab.launch import Mode

_PCAP_HELP = "Write the packets that cross between the hosts to FILE, for Wireshark or tshark."
_NETWORKS = ("auto", "two-hosts", "private", "machine")
_NETWORK_HELP = "Where it plays: private hosts of the lab's own, or this machine's network. Default: the best allowed."

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG)
_REFUSED = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EMFILE, errno.EAGAIN)
_UNTIL_HELP = "Run on, and stop first where it fits: `accept`, `read fd=4`, `write errno=EPIPE`, `any error`."


class _Group(click.Group):
    """A mistyped verb is answered with the nearest one."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            from socklab.core.suggest import suggest
            from socklab.core.text import safe

            word = args[0] if args else ""
            raise click.UsageError(f'No verb "{safe(word)}". {suggest(word, self.list_commands(ctx))}', ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        """A reader that has left (| head) ends the verb quietly, with the shell's code for SIGPIPE."""
        try:
            code = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still buffered would be flushed at exit, and complained about once more.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return 128 + 13
        return code


_present = click.option("--present", is_flag=True, help="For a class: the stage and the text, large (also F5).")


def _of_a_screen(present: bool, mode: Mode) -> bool:
    """Raises UsageError where there is no screen to present on."""
    if present and mode.value != "screen":
        raise click.UsageError("--present is for the screen: it goes with none of --plain, --auto, --json.")
    return present


def _shown(verb: Callable[..., int]) -> Callable[..., int]:
    """The options of a verb that runs a program of the user's own: how it is shown, where it stops."""
    for option in (
        _present,
        click.option("--until", metavar="CONDITION", default="", help=_UNTIL_HELP),
        click.option("--free", is_flag=True, help="Don't stop at calls: record them as they are made."),
        click.option("--json", "json_", is_flag=True, help="The raw event stream on stdout, one line an event."),
        click.option("--auto", is_flag=True, help="Step by itself to the end."),
        click.option("--plain", is_flag=True, help="No screen: text line by line."),
    ):
        verb = option(verb)
    return verb


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Without a verb: the menu of lessons.",
)
@click.version_option(__version__, prog_name="socklab", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> int:
    """Watch a real server's socket calls, and what the Linux kernel holds at each one."""
    if ctx.invoked_subcommand is not None:
        return 0
    from socklab import launch

    return launch.menu()


@cli.command(short_help="Run a lesson.")
@click.argument("name")
@click.option(
    "--lang", type=click.Choice(["c", "python"]), help="The server's language. Default: c if it compiles here."
)
@click.option("--net", type=click.Choice(_NETWORKS), default="auto", help=_NETWORK_HELP)
@click.option("--plain", is_flag=True, help="No screen: text line by line, for a screen reader or a pipe.")
@click.option("--auto", is_flag=True, help="Run through by itself, unasked; exit code 0 only if every check held.")
@click.option("--json", "json_", is_flag=True, help="The raw event stream on stdout, one line an event.")
@click.option("--pcap", metavar="FILE", default="", help=_PCAP_HELP)
@click.option(
    "--step", metavar="N", type=click.IntRange(min=1), help="Run it on to its step N; questions on the way are passed."
)
@_present
def lesson(
    name: str,
    lang: str | None,
    net: str,
    plain: bool,
    auto: bool,
    json_: bool,
    pcap: str,
    step: int | None,
    present: bool,
) -> int:
    """Run the lesson NAME (see `socklab lessons`), or the one in a folder."""
    from socklab import launch
    from socklab.protocol.run_spec import RunSpec

    wanted = RunSpec(language=lang or "", network=net, capture=pcap)
    mode = launch.Mode.of(plain, auto, json_)
    if step and (mode.is_auto or json_):
        raise click.UsageError("--step is for somebody who watches: it goes with neither --auto nor --json.")
    return launch.lesson(name, wanted, mode, present=_of_a_screen(present, mode), step=step or 0)


@cli.command(short_help="List the lessons, or check their files.")
@click.option("--check", is_flag=True, help="Check the lessons' files; exit code 3 if one is not in order.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
@click.argument("folders", nargs=-1, type=click.Path(exists=True, file_okay=False))
def lessons(check: bool, json_: bool, folders: tuple[str, ...]) -> int:
    """List the lessons; with --check, look for mistakes in them or in FOLDERS."""
    from socklab.ui.plain import lesson_list

    return lesson_list.check(folders, as_json=json_) if check else lesson_list.show(folders, as_json=json_)


@cli.command(short_help="What this machine allows, and the fix for what it does not.")
@click.option("--json", "json_", is_flag=True, help="As JSON.")
def doctor(json_: bool) -> int:
    """What this machine allows, and the exact fix for what it does not. Exit code 4: lessons can't run."""
    from socklab.doctor import report as doctor_module

    return doctor_module.report(as_json=json_)


@cli.command(context_settings={"allow_interspersed_args": False}, short_help="Run a program of your own.")
@click.option("--net", type=click.Choice(_NETWORKS), default="auto", help=_NETWORK_HELP)
@_shown
@click.option("--env", "variables", metavar="K=V", multiple=True, help="A variable of its environment; repeatable.")
@click.option("--cwd", type=click.Path(exists=True, file_okay=False, resolve_path=True), help="Where it runs.")
@click.option("--pcap", metavar="FILE", default="", help=_PCAP_HELP)
@click.argument("program")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def run(
    net: str,
    plain: bool,
    auto: bool,
    json_: bool,
    free: bool,
    until: str,
    present: bool,
    variables: tuple[str, ...],
    cwd: str | None,
    pcap: str,
    program: str,
    arguments: tuple[str, ...],
) -> int:
    """Run PROGRAM of your own: a .c or .py file, or any command. Its exit status is passed on."""
    from socklab import launch
    from socklab.protocol.run_spec import RunSpec

    environment: dict[str, str] = {}
    for each in variables:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise click.BadParameter(f'"{each}" is not of the form NAME=VALUE.', param_hint="--env")
        environment[name] = value
    wanted = RunSpec(
        argv=(program, *arguments),
        cwd=cwd or launch.here(),
        environment=environment,
        network=net,
        free=free,
        until=until,
        capture=pcap,
    )
    mode = launch.Mode.of(plain, auto, json_)
    return launch.program(wanted, mode, present=_of_a_screen(present, mode))


@cli.command(short_help="Look at a program that runs already.")
@_shown
@click.option("--children", is_flag=True, help="Its child processes too, and theirs.")
@click.argument("pid", type=click.IntRange(min=1))
def attach(
    plain: bool, auto: bool, json_: bool, free: bool, until: str, present: bool, children: bool, pid: int
) -> int:
    """Look at process PID, which runs already. It is let go when you leave, and runs on."""
    from socklab import launch
    from socklab.protocol.run_spec import RunSpec

    wanted = RunSpec(attach=pid, children=children, free=free, until=until)
    mode = launch.Mode.of(plain, auto, json_)
    return launch.attach(wanted, mode, present=_of_a_screen(present, mode))


@cli.command(short_help="Write the packets of a recorded stream as a capture file.")
@click.option("--pcap", metavar="FILE", required=True, help="The capture to write, for Wireshark or tshark.")
@click.argument("recording", type=click.Path(exists=True, dir_okay=False))
def export(pcap: str, recording: str) -> int:
    """Write what crossed the wire in RECORDING, the stream of a run with --json, as a capture."""
    from socklab.packets import capture_file as export_module

    return export_module.show(recording, pcap)


@cli.command(short_help="List the keys, and where to change them.")
def keys() -> int:
    """List the keys of the screen as your keymap leaves them, and where that file is. Exit code 2: it has a mistake."""
    from socklab.ui.plain import key_list

    return key_list.show()


def main() -> None:
    """Entry point of `socklab`. Never shows a traceback for what a user can mend."""
    sys.exit(_main())


def _open_standard_streams() -> bool:
    """Put /dev/null where input, output or error was closed: a socket of ours must not take its number. False where
    that was the output."""
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free: this one
            closed.append(number)
    return 1 not in closed


def _main() -> int:
    if not _open_standard_streams():
        if sys.stderr is not None:
            print("socklab: The output can't be written: standard output is closed.", file=sys.stderr)
        return 74  # EX_IOERR
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no UTF-8 gets \u2013, not a traceback
    try:
        code = cli.main(prog_name="socklab", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SocklabError as error:
        print(f"socklab: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return 130
    except OSError as error:
        if error.errno in _REFUSED:
            print(f"socklab: This machine refuses something that is needed here ({error}).", file=sys.stderr)
            fix = "`ulimit -n 1024` allows more." if error.errno == errno.EMFILE else "`socklab doctor` names the fix."
            print(fix, file=sys.stderr)
            return MachineError.exit_code
        if error.errno not in _FULL:
            raise
        print(f"socklab: The output can't be written: {error.strerror}.", file=sys.stderr)
        # What is still buffered would be flushed at exit, and complained about once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 74  # EX_IOERR
    return code if isinstance(code, int) else 0
