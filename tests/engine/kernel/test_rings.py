"""What fdinfo of an io_uring says, and which operation a result is given: texts as Linux 6.18 writes them."""

from __future__ import annotations

from socklab.engine.kernel.rings import RingReader
from socklab.protocol.rows import Completion, Ring, Submission
from socklab.syscalls import rings

ACCEPT, RECV = "ACCEPT, fd:3", "RECV, fd:5"


def fdinfo(
    sq: int = 0, submitted: tuple[tuple[str, int], ...] = (), cq: int = 0, completed: tuple[str, ...] = ()
) -> str:
    """`sq` and `cq`: how many entries of the two queues had been taken before."""
    lines = ["pos:\t0", "flags:\t02000002", "mnt_id:\t17", "ino:\t17516334", "SqMask:\t0xf", f"SqHead:\t{sq}"]
    lines += [f"SqTail:\t{sq + len(submitted)}", f"CachedSqHead:\t{sq}", "CqMask:\t0x1f", f"CqHead:\t{cq}"]
    lines += [f"CqTail:\t{cq + len(completed)}", f"CachedCqTail:\t{cq + len(completed)}", f"SQEs:\t{len(submitted)}"]
    rest = "flags:0, off:0, addr:0x0, rw_flags:0x0, buf_index:0 user_data"
    lines += [f"{(sq + at) & 15:5}: opcode:{what}, {rest}:{data}" for at, (what, data) in enumerate(submitted)]
    lines += [f"CQEs:\t{len(completed)}", *(f"{cq + at:5}: {each}" for at, each in enumerate(completed))]
    lines += ["SqThread:\t-1", "SqThreadCpu:\t-1", "SqTotalTime:\t0", "SqWorkTime:\t0", "UserFiles:\t0", "UserBufs:\t0"]
    return "\n".join([*lines, "PollList:", "  op=13, task_works=0", "CqOverflowList:", "NAPI:\tdisabled", ""])


def done(data: int, result: int, flags: int = 0) -> str:
    return f"user_data:{data}, res:{result}, flag:{flags:x}"


def test_a_result_is_given_the_operation_that_was_submitted_with_its_user_data() -> None:
    reader = RingReader()
    told = reader.read(fdinfo(submitted=((ACCEPT, 7), (RECV, 8))))
    assert told == Ring(submitted=(Submission("ACCEPT", 3, 7), Submission("RECV", 5, 8)), armed=(13,))
    told = reader.read(fdinfo(sq=2, completed=(done(8, -104),)))
    assert told == Ring(completed=(Completion(8, -104, "RECV", 5),), armed=(13,))
    assert told is not None
    assert rings.lines(told) == ["waiting: accept", "completed: recv on 5 = -1 ECONNRESET"]


def test_looking_twice_changes_nothing() -> None:
    reader = RingReader()
    text = fdinfo(submitted=((RECV, 8),))
    assert reader.read(text) == reader.read(text)
    text = fdinfo(sq=1, completed=(done(8, 2),))
    assert reader.read(text) == reader.read(text) == Ring(completed=(Completion(8, 2, "RECV", 5),), armed=(13,))


def test_where_two_operations_have_the_same_user_data_their_results_have_no_name() -> None:
    reader = RingReader()
    reader.read(fdinfo(submitted=((ACCEPT, 1), (RECV, 1))))
    told = reader.read(fdinfo(sq=2, completed=(done(1, 4), done(2, 9))))
    assert told is not None
    assert told.completed == (Completion(1, 4), Completion(2, 9))
    assert rings.lines(told)[-1] == "completed: user_data 1 = 4, user_data 2 = 9"


def test_a_number_used_again_after_its_result_means_the_later_operation() -> None:
    reader = RingReader()
    reader.read(fdinfo(submitted=((ACCEPT, 1),)))
    reader.read(fdinfo(sq=1, completed=(done(1, 5),)))
    reader.read(fdinfo(sq=1, submitted=((RECV, 1),), cq=1))
    told = reader.read(fdinfo(sq=2, cq=1, completed=(done(1, 2),)))
    assert told is not None
    assert told.completed == (Completion(1, 2, "RECV", 5),)


def test_an_operation_of_many_results_keeps_its_name() -> None:
    reader = RingReader()
    reader.read(fdinfo(submitted=((ACCEPT, 1),)))
    for place, more in ((0, 2), (1, 2), (2, 0)):
        told = reader.read(fdinfo(sq=1, cq=place, completed=(done(1, 5 + place, more),)))
        assert told is not None
        assert told.completed == (Completion(1, 5 + place, "ACCEPT", 3),)
    told = reader.read(fdinfo(sq=1, cq=3, completed=(done(1, 9),)))
    assert told is not None
    assert told.completed == (Completion(1, 9),)


def test_registered_files_the_kernels_thread_and_a_place_in_the_table_are_told() -> None:
    text = (
        fdinfo(submitted=(("CLOSE, fd:0", 1),))
        .replace("flags:0,", "flags:1,")
        .replace("SqThread:\t-1", "SqThread:\t77")
    )
    told = RingReader().read(text.replace("UserFiles:\t0", "UserFiles:\t2\n    0: socket:[4711]\n    1: /etc/passwd"))
    assert told is not None
    assert (told.files, told.thread) == (("socket:[4711]", "/etc/passwd"), 77)
    assert rings.lines(told)[0] == "to submit: close on registered file 0"


def test_a_kernel_that_lists_no_queue_tells_of_none() -> None:
    assert RingReader().read("pos:\t0\nflags:\t02000002\nUserFiles:\t0\nUserBufs:\t0\n") is None


def test_a_list_that_was_cut_says_that_there_is_more() -> None:
    text = fdinfo(submitted=tuple((RECV, data) for data in range(100)))
    told, cut = RingReader().read(text), RingReader().read(text[: len(text) // 2])
    assert told is not None and cut is not None
    assert len(told.submitted) == 64
    assert told.more and cut.more


def test_a_result_has_no_name_while_an_operation_may_be_in_flight_that_nobody_saw() -> None:
    """As after an attach: three were submitted before, two have their results."""
    reader = RingReader()
    told = reader.read(fdinfo(sq=3, submitted=((RECV, 7),), cq=2))
    assert told is not None
    assert told.submitted == (Submission("RECV", 5, 7),)
    told = reader.read(fdinfo(sq=4, cq=2, completed=(done(7, 1),)))
    assert told is not None
    assert told.completed == (Completion(7, 1),), "the one that was there before may have the same user_data"
    reader.read(fdinfo(sq=4, cq=4))  # now each of the four has its result
    reader.read(fdinfo(sq=4, submitted=((RECV, 7),), cq=4))
    told = reader.read(fdinfo(sq=5, cq=4, completed=(done(7, 2),)))
    assert told is not None
    assert told.completed == (Completion(7, 2, "RECV", 5),)
