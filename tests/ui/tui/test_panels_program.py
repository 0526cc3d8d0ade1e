"""What the panels of the program's side claim: call, source, clients and the rest; on states folded from events."""

from __future__ import annotations

import subprocess
import sys

import pytest

from socklab import syscalls
from socklab.lesson import parse
from socklab.protocol import events as ev
from socklab.protocol.rows import Completion, Ring, Submission
from socklab.ui.tui.panels import registry
from socklab.ui.tui.widgets import markdown, status
from socklab.ui.view import tasks
from socklab.ui.view.lines import View, plain, width
from tests.ui.tui.panel_support import ACCEPT, MOMENTS, PID, READ, STACK, Scene
from tests.ui.tui.panel_words import WIDTHS, drawn_whole, forget_windows, roles_of, text
from tests.ui.tui.test_panels_snapshots import LESSON, PANELS

call = registry.panel("call")
clients = registry.panel("clients")
counters = registry.panel("counters")
narration = registry.panel("narration")
output = registry.panel("output")
processes = registry.panel("processes")
source = registry.panel("source")

# ---------------------------------------------------------------- the call


@pytest.mark.parametrize("cells", WIDTHS)
def test_before_and_after_the_call_are_told_apart_in_words(cells: int) -> None:
    view = View(cells, 9)
    assert "about to call" in text(call.render(Scene().before_listen().state, view))
    assert "returned" in text(call.render(Scene().after_listen().state, view))
    assert "returned" not in text(call.render(Scene().before_listen().state, view))


@pytest.mark.parametrize("cells", WIDTHS)
def test_the_address_bytes_are_split_two_two_four_eight(cells: int) -> None:
    drawn = call.render(Scene().before_bind().state, View(cells, 12))
    pieces = [said.replace(" ", "") for line in drawn for said, _ in line]
    split = [each for each in pieces if each in ("0200", "1f90") or set(each) == {"0"}]
    assert split == ["0200", "1f90", "00000000", "0" * 16]


@pytest.mark.parametrize("cells", WIDTHS)
def test_an_error_is_named_and_explained(cells: int) -> None:
    drawn = call.render(Scene().after_write_epipe().state, View(cells, 12))
    assert "-1 EPIPE" in text(drawn)
    assert "SIGPIPE" in text(drawn)
    assert "bad" in roles_of(drawn, "EPIPE")


def test_a_blocked_call_says_where_the_kernel_put_the_program_to_sleep() -> None:
    said = text(call.render(Scene().asleep().state, View(100, 12)))
    assert "asleep in the call" in said
    assert "inet_csk_accept" in said


def test_a_running_call_that_does_not_sleep_is_not_called_asleep() -> None:
    scene = Scene().before_accept().resume()
    assert "asleep" not in text(call.render(scene.state, View(100, 12)))
    assert "asleep" not in plain(tasks.program_words(scene.state))


def test_hex_is_shown_whole_when_asked_for() -> None:
    state = Scene().after_read().state
    short = text(call.render(state, View(58, 8)))
    whole = text(call.render(state, View(58, 8, expanded=frozenset({"hex"}))))
    assert "more byte" in short or "2a 2f 2a" not in short
    assert "2a 2f 2a" in whole and "more byte" not in whole


# ---------------------------------------------------------------- source


def test_the_window_keeps_still_while_the_line_is_inside() -> None:
    forget_windows()
    view = View(100, 16)
    first = plain(source.render(Scene().before_listen().state, view)[0])
    second = plain(source.render(Scene().before_accept().state, view)[0])
    assert first == second


def test_the_current_line_is_marked_and_first_span_is_current() -> None:
    forget_windows()
    drawn = source.render(Scene().full().state, View(100, 12))
    (line,) = [line for line in drawn if "▶" in plain(line)]
    assert line[0][1] == "current"
    assert "accept(listener" in plain(line)


def test_a_long_current_line_is_whole_in_a_narrow_panel() -> None:
    forget_windows()
    drawn = source.render(Scene().full().state, View(44, 12))
    said = "".join(plain(line)[5:].strip() for line in drawn if line[0][1] == "current")
    assert said.replace(" ", "") == "intclient=accept(listener,(structsockaddr*)&peer,&len);"


def test_missing_line_information_is_said_plainly() -> None:
    scene = Scene().start()
    scene.tell(ev.Enter(t=4, tid=PID, nr=ACCEPT, args=(3, 0, 0, 0, 0, 0)), ev.Held(t=4, tid=PID, at="enter"))
    assert "No line information" in text(source.render(scene.state, View(58, 9)))


@pytest.mark.parametrize("language", ["c", "python"])
def test_colours_do_not_change_the_text(language: str) -> None:
    code = '"""doc\nmore"""\nx = 1  # one\n\n\ndef f():\n\treturn "a\\n"\n\n\n' * 90
    scene = Scene().start()
    scene.tell(ev.Source(t=3, path="f", language=language, text=code))
    for line in (1, 4, 500, 800, 30):
        forget_windows()
        scene.tell(ev.Held(t=4, tid=PID, at="interrupt", stack=(ev.Frame("f", line, "f"),)))
        for drawn in map(plain, source.render(scene.state, View(100, 9))):
            number = int(drawn[1:].split(maxsplit=1)[0])
            assert drawn[6:].rstrip() == code.split("\n")[number - 1].replace("\t", "    ").rstrip()


# ---------------------------------------------------------------- the others


def test_a_refused_client_is_told_by_errno_name_and_meaning() -> None:
    scene = Scene().before_bind()
    scene.tell(ev.Client(9, "a", "failed", "client", remote="127.0.0.1:8080", errno=111))
    assert "ECONNREFUSED Connection refused" in text(clients.render(scene.state, View(58, 9)))


def test_a_real_command_shows_its_exit_status() -> None:
    scene = Scene().before_bind()
    scene.tell(ev.Client(9, "curl", "done", "client", argv=("curl", "-s", "http://server:8080/"), pid=77, code=7))
    said = text(clients.render(scene.state, View(58, 9)))
    assert "! curl -s http://server:8080/" in said
    assert "exit status 7" in said


def test_a_thousand_clients_are_summed_up_by_phase() -> None:
    scene = Scene().before_accept()
    scene.tell(*(ev.Client(9, f"c{n}", "open" if n % 4 else "connecting", "client") for n in range(1, 1001)))
    drawn = clients.render(scene.state, View(58, 9))
    assert "750 open" in text(drawn) and "250 connecting" in text(drawn)
    assert "c1000" in text(drawn)
    assert len(drawn) <= 9


def test_output_joins_pieces_of_a_line_and_keeps_the_last_lines() -> None:
    scene = Scene().start()
    for piece in (b"one\ntw", b"o\n", "h\xe9".encode()[:2], "h\xe9".encode()[2:], b"llo\n"):
        scene.tell(ev.Output(t=3, source="server", stream="out", data=piece))
    assert [plain(line) for line in output.render(scene.state, View(38, 2))] == ["two", "héllo"]


def test_errors_of_the_program_are_marked() -> None:
    scene = Scene().start().tell(ev.Output(t=3, source="server", stream="err", data=b"bind: Address in use\n"))
    assert plain(output.render(scene.state, View(58, 4))[0]) == "! bind: Address in use"


def test_counters_from_before_the_lab_are_not_shown() -> None:
    said = text(counters.render(Scene().full().state, View(58, 9)))
    assert "ListenDrops" in said
    assert "RetransSegs" not in said


def test_children_stand_under_their_parent() -> None:
    scene = Scene().after_accept()
    scene.tell(
        ev.Forked(t=9, tid=PID, child=PID + 1, kind="fork"),
        ev.Forked(t=9, tid=PID + 1, child=PID + 2, kind="thread"),
        ev.Processes(t=9, set=(ev.ProcessRow(PID + 1, PID, "server", "Z"),)),
    )
    drawn = [plain(line) for line in processes.render(scene.state, View(58, 9))]
    assert drawn[0].startswith(f"■ server {PID}")
    (place,) = [place for place, line in enumerate(drawn) if line[2:].startswith(f"└ server {PID + 1}")]
    assert "Z" in drawn[place].split()
    assert drawn[place + 1][2:].startswith(f"  └ thread {PID + 2}")


PREDICT = """
[step.predict]
ask = "How many?"
choices = [4, 5]
measure = "listener.accept_queue"
explain = "Because."
"""


@pytest.mark.parametrize(("choice", "said"), [(5, "✓ Right: 5"), (4, "✗ You said 4")])
def test_a_right_answer_and_a_wrong_one_are_told_apart_without_colour(choice: int, said: str) -> None:
    lesson = parse(LESSON.replace("[[check]]", f"{PREDICT}\n[[check]]"), "test", name="backlog")
    scene = Scene().full().tell(ev.StepReached(t=9, index=1, phase="before"), ev.Asked(t=9, index=1))
    scene.tell(ev.Measured(t=9, index=1, value=5, choice=choice, right=choice == 5))
    assert said in text(narration.render(scene.state, View(58, 20, lesson=lesson)))


def test_a_bold_letter_ends_at_its_own_stars() -> None:
    (line,) = markdown.to_lines("client **b** got descriptor **4**.", 60)
    assert line == (("client ", ""), ("b", "strong"), (" got descriptor ", ""), ("4", "strong"), (".", ""))


def test_code_keeps_its_full_stop_on_its_line() -> None:
    drawn = markdown.to_lines("The next call, which is `listen(3, 4)`.", 37)
    assert not any(plain(line).lstrip().startswith(".") for line in drawn)


def test_the_status_line_gives_the_rate_of_a_free_running_program() -> None:
    scene = Scene().start()
    step = 200_000
    for n in range(2_000):
        scene.tell(
            ev.Enter(t=n * step, tid=PID, nr=READ, args=(3, STACK, 1, 0, 0, 0)),
            ev.Return(t=n * step + step, tid=PID, nr=READ, result=1),
        )
    assert plain(tasks.program_words(scene.state)) == "running, 5,000 calls/s"


def test_a_leader_that_has_ended_before_its_threads_is_not_called_running() -> None:
    scene = Scene().start()
    scene.tell(ev.Forked(0, PID, PID + 1, "thread"))
    zombie = ev.ProcessRow(pid=PID, ppid=1, name="server", state="Z", threads=2)
    scene.tell(ev.Processes(0, (zombie,)))
    assert plain(tasks.program_words(scene.state)).startswith(f"{PID} has ended, its threads go on")
    assert tasks.asleep(scene.state, scene.state.tasks[PID]), "the screen leaves it for a thread"


def test_what_lies_in_an_io_uring_stands_on_its_call_and_beside_its_descriptor() -> None:
    scene = Scene().start()
    operations = (Submission("ACCEPT", 3, 7), Submission("CLOSE", 0, 8, fixed=True))
    ring = ev.Descriptor(4, "anon_inode:[io_uring]", ring=Ring(operations, (Completion(9, -104, "RECV", 5),)))
    enter = syscalls.number("x86_64", "io_uring_enter")
    assert enter is not None
    scene.tell(ev.Descriptors(0, PID, (ring,)), ev.Enter(0, PID, enter, (4, 2, 1, 1, 0, 0)), ev.Held(0, PID, "enter"))
    told = "to submit: accept on 3, close on registered file 0"
    drawn = text(call.render(scene.state, View(80, 20)))
    assert told in drawn and "completed: recv on 5 = -1 ECONNRESET" in drawn
    assert told in text(registry.panel("descriptors").render(scene.state, View(120, 20)))


def test_the_status_line_of_a_crash_names_signal_and_address() -> None:
    assert "killed by SIGSEGV (address 0x0 is not mapped)" in plain(tasks.program_words(Scene().crashed().state))


def test_the_past_is_never_mistaken_for_the_present() -> None:
    assert "THE PAST   stop 7 of 9" in plain(status.past(7, 9, 80))


def test_panels_import_neither_textual_nor_pygments_nor_the_decoder_before_they_are_needed() -> None:
    code = (
        "import sys\n"
        "from socklab.ui.tui.panels import queues, descriptors, sockets, clients, output\n"
        "from socklab.ui.tui.panels import counters, processes, call, source\n"
        "heavy = {'textual', 'pygments', 'socklab.syscalls.decoding'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("cells", WIDTHS)
def test_no_line_is_wider_than_its_panel_at_any_moment(cells: int) -> None:
    for make in MOMENTS.values():
        state = make().state
        for name in PANELS:
            for line in drawn_whole(registry.panel(name), state, View(cells, 9)):
                assert width(line) <= cells, (name, plain(line))


def test_a_descriptor_is_told_by_the_client_behind_it() -> None:
    assert "connection to a" in text(call.render(Scene().before_write().state, View(58, 12)))
    assert "connection to a" in text(call.render(Scene().after_close().state, View(58, 12)))


def test_ten_clients_fit_four_low_lines_and_their_states_with_them() -> None:
    drawn = clients.render(Scene().full().state, View(79, 4))
    assert len(drawn) == 4
    assert "a  ESTABLISHED" in text(drawn) and "j  SYN_SENT again 1×" in text(drawn)


def test_no_line_is_said_to_sleep_in_a_call_the_program_ran_on_to_unseen() -> None:
    row = ev.ProcessRow(PID, 4000, "server", "S", rss_bytes=1_376_256, waits_in="inet_csk_accept")
    scene = Scene().after_close().resume().enter(ACCEPT, 3, held=False).tell(ev.Processes(t=9, set=(row,)))
    said = text(source.render(scene.state, View(100, 20)))
    assert "was here last" in said
    assert "asleep" not in said
    line = next(row.partition("int client = accept")[0].split()[-1] for row in said.splitlines() if "accept(" in row)
    scene.tell(ev.Place(t=9, tid=PID, stack=(ev.Frame(scene.path, int(line), "main"),)))
    said = text(source.render(scene.state, View(100, 20)))
    assert next(row for row in said.splitlines() if "asleep in accept" in row).startswith(f"▷{line}")
    assert "was here last" not in said
    scene.tell(ev.Place(t=9, tid=PID, unlined="no debug information"))
    said = text(source.render(scene.state, View(100, 20)))
    assert "Asleep in accept: no line information: no debug information." in said


def test_the_line_of_its_end_is_marked_only_where_it_is_known() -> None:
    gone, killed = ev.Exited(t=9, tid=PID), ev.Exited(t=9, tid=PID, signo=11)
    crash = ev.Signal(t=8, tid=PID, signo=11, code=1)
    there = ev.Held(t=8, tid=PID, at="signal", stack=(ev.Frame(Scene().path, 12, "main"),))

    def said(scene: Scene, *events: ev.AnyEvent) -> str:
        return text(source.render(scene.resume().tell(*events).state, View(100, 20)))

    for ended in (gone, killed):
        told = said(Scene().after_close(), ended)
        assert "was here last" in told
        assert "ended here" not in told
    assert "ended here" in said(Scene().before_accept(), killed), "asleep in the call"
    met = said(Scene().after_close(), crash, there, killed)
    assert next(row for row in met.splitlines() if "ended here" in row).startswith("✗12")
