"""A typed line becomes exactly one request, or an error that names the nearest word."""

from __future__ import annotations

import pytest

from socklab.core.errors import UsageError
from socklab.lesson import Predict
from socklab.protocol import commands as cmd
from socklab.ui.plain import prompt


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", cmd.Step()),
        ("s", cmd.Step()),
        (" step ", cmd.Step()),
        ("o", cmd.Step(over=True)),
        ("n", cmd.Continue(until="step")),
        ("c", cmd.Continue()),
        ("c accept", cmd.Continue(until="accept")),
        ("continue read fd=4", cmd.Continue(until="read fd=4")),
        ("p", cmd.Pause()),
        ("q", cmd.Quit()),
        ("connect 5", cmd.Do("connect 5")),
        ('send a "hi"', cmd.Do('send a "hi"')),
        ("! curl -s http://server:8080/", cmd.Do("! curl -s http://server:8080/")),
        ("!ls", cmd.Do("!ls")),
        ("focus 123", cmd.Focus(tid=123)),
        (r'input "yes\n"', cmd.Input(data=b"yes\n")),
        ("show sockets", prompt.Show("sockets")),
    ],
)
def test_a_line_is_one_request(line: str, command: prompt.Request) -> None:
    assert prompt.parse(line) == command


@pytest.mark.parametrize("line", ["h", "help", "?"])
def test_help_is_asked_for_in_three_ways(line: str) -> None:
    assert isinstance(prompt.parse(line), prompt.Help)


@pytest.mark.parametrize(
    ("line", "nearest"),
    [("konnect 5", "connect"), ("stp", "step"), ("show socket", "sockets"), ("c acept", "accept"), ("quti", "quit")],
)
def test_a_mistyped_word_is_answered_with_the_nearest(line: str, nearest: str) -> None:
    with pytest.raises(UsageError) as caught:
        prompt.parse(line)
    assert nearest in str(caught.value)


def test_a_mistyped_line_is_repeated_without_its_control_characters() -> None:
    with pytest.raises(UsageError) as caught:
        prompt.parse("\x1b[31mfoo")
    assert "\x1b" not in str(caught.value)


def test_help_fits_a_terminal_of_80_columns() -> None:
    assert max(len(line) for line in prompt.HELP.splitlines()) < 80


def predict(*choices: int | str | bool) -> Predict:
    return Predict(ask="?", choices=list(choices), measure="x", explain="")


def test_a_choice_is_its_letter_or_what_it_says_and_never_its_place() -> None:
    question = predict(0, 4, 5, 6)
    assert prompt.choice_list(question) == ["Choices:  a. 0  b. 4  c. 5  d. 6"]
    answers = {word: prompt.parse_answer(word, question) for word in ("0", "4", "5", "6", "a", "b", "C", "d")}
    assert answers == {"0": 0, "4": 4, "5": 5, "6": 6, "a": 0, "b": 4, "C": 5, "d": 6}
    words = predict("open", "connecting", "failed")
    assert prompt.choice_list(words) == ["Choices:  a. open  b. connecting  c. failed"]
    assert prompt.parse_answer(" Failed ", words) == "failed"
    assert prompt.parse_answer("b", words) == "connecting"
    for asked, wrong in ((question, "1"), (question, "e"), (words, "2"), (words, "d"), (words, ""), (words, "ab")):
        with pytest.raises(UsageError):
            prompt.parse_answer(wrong, asked)


def test_long_choices_have_a_line_each() -> None:
    assert prompt.choice_list(predict("x" * 40, "y" * 40)) == ["  a. " + "x" * 40, "  b. " + "y" * 40]


def test_yes_is_true_and_not_one() -> None:
    answer = prompt.parse_answer("yes", predict(True, False))
    assert answer is True


def test_show_is_no_guess() -> None:
    assert prompt.parse_answer("show", predict(1, 2)) is None


def test_the_words_of_the_screens_prompt_are_understood_too() -> None:
    assert prompt.parse("until accept") == prompt.parse("c accept")
    assert prompt.parse('stdin "hi"') == prompt.parse('input "hi"')


def test_pcap_names_a_file_at_the_plain_prompt_too() -> None:
    assert prompt.parse("pcap  a b.pcap") == prompt.Capture("a b.pcap")
