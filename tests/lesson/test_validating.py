"""What types can't say of a lesson: the last value that is accepted and the first that is refused, key by key."""

from __future__ import annotations

import pytest

from socklab import lesson
from socklab.core.errors import LessonError
from tests.lesson.test_lesson import BEATS, GOOD

SERVER = 'server = { c = "server.c" }'
LISTEN = '{ syscall = "listen" }'
CHOICES = "choices = [0, 1]"
MEASURE = 'measure = "listener.accept_queue"'


def parsed(*changes: tuple[str, str], text: str = GOOD) -> lesson.Lesson:
    for right, wrong in changes:
        assert right in text
        text = text.replace(right, wrong, 1)
    return lesson.parse(text, "x/lesson.toml")


def refusal(*changes: tuple[str, str], text: str = GOOD) -> str:
    with pytest.raises(LessonError) as refused:
        parsed(*changes, text=text)
    assert refused.value.what.startswith("x/lesson.toml: ")
    return refused.value.what.removeprefix("x/lesson.toml: ")


@pytest.mark.parametrize("name", ["../up.c", "/etc/passwd", "a/b.c", "./server.c", "..", ".", ".hidden.c", "a/"])
@pytest.mark.parametrize("language", ["c", "python"])
def test_a_server_lies_in_the_lessons_own_folder(name: str, language: str) -> None:
    told = refusal((SERVER, f'server = {{ {language} = "{name}" }}'))
    assert told == f'server.{language}: "{name}" must be a file in the lesson\'s own folder'


def test_a_file_beside_the_lesson_may_be_a_server() -> None:
    for name in ("server.c", "a.b.c", "-x", "a b"):
        assert parsed((SERVER, f'server = {{ c = "{name}" }}')).server.c == name


@pytest.mark.parametrize(("port", "accepted"), [(0, False), (1, True), (65535, True), (65536, False), (-1, False)])
def test_a_port_is_one_to_65535(port: int, accepted: bool) -> None:
    change = ("format = 1", f"format = 1\nport = {port}")
    if accepted:
        assert parsed(change).port == port
    else:
        assert refusal(change) == f"port: {port}; a port is 1 to 65535"


@pytest.mark.parametrize(("value", "accepted"), [(0, False), (1, True), (60_000, True), (60_001, False)])
def test_a_settle_waits_a_millisecond_to_a_minute(value: int, accepted: bool) -> None:
    change = ("within_ms = 1500", f"within_ms = {value}")
    if accepted:
        assert parsed(change).steps[1].settle[0].within_ms == value
    else:
        assert refusal(change) == f"step[1].settle[0].within_ms: {value}; 1 to 60000"


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (1, False), (2, True), (9, True), (10, False)])
def test_choices_fit_the_keys(count: int, accepted: bool) -> None:
    change = (CHOICES, f"choices = {list(range(count))}")
    if accepted:
        assert len(parsed(change).steps[1].predict.choices) == count
    else:
        assert refusal(change).startswith(f"step[1].predict.choices: {count} choices; 2 to 9")


def test_a_choice_that_is_a_letter_is_its_own_letter() -> None:
    text = (MEASURE, 'measure = "client.a.tail"')
    assert parsed(text, (CHOICES, 'choices = ["a", "b"]')).steps[1].predict.letters == "ab"
    assert '"b" is the letter of another choice' in refusal(text, (CHOICES, 'choices = ["b", "a"]'))
    assert parsed(text, (CHOICES, 'choices = ["x", "c"]')).steps[1].predict.letters == "ab"


def test_a_choice_is_what_the_probe_can_read() -> None:
    assert "given twice" in refusal((CHOICES, "choices = [1, 2, 1]"))
    assert refusal((CHOICES, "choices = [1, true]")) == (
        "step[1].predict.choices[1]: yes is a yes or no; listener.accept_queue is a whole number"
    )
    assert refusal((CHOICES, 'choices = ["1", "2"]')) == (
        "step[1].predict.choices[0]: 1 is a text; listener.accept_queue is a whole number"
    )
    states = (MEASURE, 'measure = "client.a.state"')
    assert parsed(states, (CHOICES, 'choices = ["CLOSE", "CLOSE_WAIT"]')).steps[1].predict.choices[1] == "CLOSE_WAIT"
    told = refusal(states, (CHOICES, 'choices = ["CLOSED", "CLOSE_WAIT"]'))
    assert told == 'step[1].predict.choices[0]: client.a.state is never "CLOSED"'


def test_what_is_waited_for_checked_and_claimed_is_what_the_probe_can_read() -> None:
    for wrong, right in (("ESTABLISH", "ESTABLISHED"), ("CLOSEWAIT", "CLOSE_WAIT")):
        with pytest.raises(LessonError) as refused:
            parsed(('is = "ESTABLISHED"', f'is = "{wrong}"'))
        assert refused.value.what.endswith(f'step[1].settle[0]: client.a.state is never "{wrong}"')
        assert f'Did you mean "{right}"?' in refused.value.fix
        assert "FIN_WAIT1, FIN_WAIT2" in refused.value.fix
    assert refusal(("is = true", "is = 1")) == "check[1]: 1 is a whole number; process.alive is a yes or no"
    assert refusal(("is = true", "at_most = 1")) == "check[1]: 1 is a whole number; process.alive is a yes or no"
    claim = ('before = "', 'holds = "client.a.phase is opened"\nbefore = "')
    assert refusal(claim) == 'step[0].holds[0]: client.a.phase is never "opened"'


def test_a_lesson_has_steps_and_another_format_is_another_version() -> None:
    head, _, tail = GOOD.partition("[[step]]")
    checks = tail[tail.index("[[check]]") :]
    assert refusal(text=head + "step = []\n" + checks) == "step: a lesson needs at least one [[step]]"
    assert refusal(text=head + checks) == "step: this key is missing"
    assert refusal(("format = 1", "format = 0")).startswith("format: 0; ")


def test_calls_are_named_as_a_lesson_may_name_them() -> None:
    pause = ("format = 1", 'format = 1\npause = ["accept", "acept"]')
    assert refusal(pause) == 'pause[1]: no syscall "acept" that a lesson may name'
    assert refusal(('{ syscall = "accept" }', '{ syscall = "acept" }')).startswith("check[0].at.syscall: ")
    assert refusal(('{ syscall = "accept" }', '{ syscall = "accept", nth = 0 }')).startswith("check[0].at.nth: 0; ")
    assert parsed(("format = 1", 'format = 1\npause = ["accept4", "futex"]')).pause == ("accept4", "futex")


TEXTS = [
    ("format = 1", 'format = 1\nintro = "{listener.prt}"', "intro"),
    ("format = 1", 'format = 1\noutro = "{listener.prt}"', "outro"),
    ("{listener.backlog}", "{listener.prt}", "step[0].before"),
    ('before = "Room', 'after = "{listener.prt}"\nbefore = "Room', "step[0].after"),
    ("How many wait?", "{listener.prt}?", "step[1].predict.ask"),
    ('"Because."', '"{listener.prt}"', "step[1].predict.explain"),
]


@pytest.mark.parametrize(("right", "wrong", "key"), TEXTS)
def test_every_text_is_searched_for_probes_that_do_not_exist(right: str, wrong: str, key: str) -> None:
    assert refusal((right, wrong)) == f'{key}: no probe "listener.prt"'


RETURN = ('{ syscall = "listen" }', '{ syscall = "listen", when = "return" }')


def test_a_step_at_a_return_has_words_only_for_after() -> None:
    assert refusal(RETURN).startswith("step[0].before: ")
    read = parsed(RETURN, ('before = "Room for {listener.backlog}."', 'after = "Done."'))
    assert read.steps[0].after == "Done."


OFFER = 'offer = "connect"\nuntil = { probe = "fd.count", is = 1 }\nbefore = "Room'


def test_what_is_offered_has_an_end_and_its_place_is_where_the_program_stands() -> None:
    assert parsed(('before = "Room', OFFER)).steps[0].until == [lesson.Settle("fd.count", 1)]
    told = refusal(('before = "Room', OFFER.replace("is = 1", "is = 1, within_ms = 0")))
    assert told == "step[0].until[0].within_ms: 0; 1 to 60000"
    assert refusal(('before = "Room', OFFER.replace('"connect"', '["connect", "conect"]'))).startswith(
        "step[0].offer[1]: "
    )
    at_return = refusal(RETURN, ('before = "Room for {listener.backlog}."', OFFER.partition("\nbefore")[0]))
    assert at_return.startswith("step[0].offer: offer it where the program stands")


PREDICT = ('hides = ["queues"]', 'when = "return"')


def test_a_question_that_waits_has_nothing_to_hide_and_something_to_wait_for() -> None:
    assert parsed(PREDICT).steps[1].predict.when == "return"
    assert refusal(('hides = ["queues"]', 'when = "return"\nhides = ["queues"]')).startswith("step[1].predict.hides: ")
    returned = refusal(PREDICT, ('when = "blocked"', 'when = "return"'))
    assert returned.startswith("step[1].predict.when: the step is at the return already")
    offer = ('do = "connect a"', 'offer = "connect a"\nuntil = { probe = "fd.count", is = 1 }')
    assert parsed(offer, ('hides = ["queues"]', 'when = "done"')).steps[1].predict.when == "done"
    hidden = refusal(offer, ('hides = ["queues"]', 'when = "done"\nhides = ["queues"]'))
    assert hidden.startswith("step[1].predict.hides: ")
    assert parsed(offer).steps[1].predict.hides == ["queues"]
    panels = parsed(('["queues"]', str(list(lesson.PANELS)).replace("'", '"')))
    assert tuple(panels.steps[1].predict.hides) == lesson.PANELS
    assert refusal(('["queues"]', '["queues", "wall"]')) == 'step[1].predict.hides[1]: no panel "wall"'


BEAT = BEATS.replace("accept4", "accept")


def test_beats_count_on_from_the_step_before_at_the_same_moment() -> None:
    assert parsed(text=BEAT).steps[2].at.beat == 2
    for right, wrong in (
        ('nth = 2, when = "blocked", beat = 2', 'nth = 3, when = "blocked", beat = 2'),
        ('nth = 2, when = "blocked", beat = 2', 'nth = 2, when = "enter", beat = 2'),
        ('nth = 2, when = "blocked", beat = 2', 'nth = 2, when = "blocked", beat = 3'),
    ):
        assert refusal((right, wrong), text=BEAT).startswith("step[2].at.beat: ")
    assert refusal((LISTEN, '{ syscall = "listen", beat = 2 }')).startswith("step[0].at.beat: 2; the step before")
    assert refusal((LISTEN, '{ syscall = "listen", beat = -1 }')) == "step[0].at.beat: -1; the first beat is 1"
    second = [RETURN, ('before = "Room for {listener.backlog}."', 'after = "x"')]
    later = '[[step]]\nat = { syscall = "accept"'
    after = (later, f'[[step]]\nat = {{ syscall = "listen", when = "return", beat = 2 }}\n\n{later}')
    assert refusal(*second, after) == "step[1].at.beat: a return has one beat; go on at the next call"


def test_checks_name_a_probe_and_exactly_one_bound() -> None:
    assert refusal(('probe = "process.alive"', 'probe = "process.alife"')).startswith("check[1].probe: ")
    assert refusal(("is = true", "")) == "check[1]: exactly one of is, at_least, at_most; 0 are given"
    assert refusal(("is = true", "at_least = 1\nat_most = 2")).endswith("2 are given")
    count = ('probe = "process.alive"\nis = true', 'probe = "fd.count"\nat_most = 0')
    assert parsed(count).checks[1].at_most == 0
    assert parsed(("is = true", "is = false")).checks[1].is_ is False
    settle = refusal(('is = "ESTABLISHED"', 'is = "ESTABLISHED", at_most = 1'))
    assert settle == "step[1].settle[0]: exactly one of is, at_least, at_most; 2 are given"


def test_a_word_of_the_lesson_is_shown_as_visible_text() -> None:
    for change in (('"server.c"', '"../\\u001b"'), ('"listen"', '"\\u001b"'), ('["queues"]', '["\\u001b"]')):
        assert "\x1b" not in refusal(change)


def test_a_mistake_in_a_table_within_a_table_is_named_with_its_path() -> None:
    assert refusal(("within_ms = 1500", "within = 1500")).startswith("step[1].settle[0].within: no such key")
    assert refusal(("is = true", "is = true\nsize = 1")).startswith("check[1].size: no such key")
    assert refusal(("within_ms = 1500", 'within_ms = "x"')) == (
        "step[1].settle[0].within_ms: expected a whole number, got text"
    )
    assert refusal(("format = 1", "format = true")) == "format: expected a whole number, got true or false"
    assert refusal(("format = 1", "format = 1.5")) == "format: expected a whole number, got a number with a point"
    assert refusal((SERVER, "server = []")) == "server: expected a table { ... }, got a list [...]"
    assert refusal(("format = 1", "format = 1\nstep = 3"), text=GOOD[: GOOD.index("[[step]]")]).startswith("step: ")


@pytest.mark.parametrize("point", ["listener", "fd 4", "client a"])
@pytest.mark.parametrize("focus", ["stage", "sockets", "processes"])
def test_a_step_may_bring_a_panel_to_the_front_and_point_at_something(focus: str, point: str) -> None:
    step = parsed(('"Room for', f'"""x"""\nfocus = "{focus}"\npoint = "{point}"\nafter = "Room for')).steps[0]
    assert (step.focus, step.point) == (focus, point)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('focus = "sokets"', 'step[0].focus: no panel "sokets"'),
        ('point = "client b"', 'step[0].point: no client "b" in this lesson'),
        ('point = "fd four"', 'step[0].point: "fd four" is nothing to point at'),
        ('point = "client"', 'step[0].point: "client" is nothing to point at'),
        ('point = "queue"', 'step[0].point: "queue" is nothing to point at'),
    ],
)
def test_a_step_points_at_what_there_is(line: str, told: str) -> None:
    assert refusal(('before = "Room', f'{line}\nbefore = "Room')) == told
