"""Names in command words, without a kernel."""

from __future__ import annotations

import pytest

from socklab.core.errors import UsageError
from socklab.engine.network.configure import LONE_HOSTS
from socklab.engine.network.topology import MACHINE_HOSTS, Topology, create

MACHINE = Topology("machine", MACHINE_HOSTS, names_resolve=False)
PRIVATE = Topology("private", LONE_HOSTS, names_resolve=True)


@pytest.mark.parametrize(
    ("word", "resolved"),
    [
        ("server", "127.0.0.1"),
        ("server:8080", "127.0.0.1:41234"),
        ("server:9", "127.0.0.1:9"),
        ("http://server:8080/", "127.0.0.1:41234"),
        ("http://server/x", "127.0.0.1"),
        ("http://me@server:8080/", "me@127.0.0.1:41234"),
        ("--url=http://server:8080", "127.0.0.1:41234"),
        ("--host=client", "=127.0.0.1"),
        ("curl http://server:8080/ | wc -c", "//127.0.0.1:41234/ |"),
        ("TCP:server:8080", "TCP:127.0.0.1:41234"),
        ("exec 3<>/dev/tcp/server/8080", "/dev/tcp/127.0.0.1/41234"),
        ("http://server6:8080/", "http://[::1]:41234/"),
        ("server6", "::1"),
    ],
)
def test_a_host_in_a_word_becomes_its_address(word: str, resolved: str) -> None:
    (got,) = MACHINE.resolve_words([word], {8080: 41234})
    assert resolved in got
    assert "server" not in got


@pytest.mark.parametrize(
    "word",
    ["server.c", "./server", "webserver", "server-1", "http://other/server", "observer", "src/server.py", "servers"],
)
def test_a_word_that_only_contains_a_name_stays(word: str) -> None:
    assert MACHINE.resolve_words([word], {8080: 41234}) == (word,)


def test_the_port_word_behind_a_host_word_follows_a_moved_port() -> None:
    assert MACHINE.resolve_words(["nc", "server", "8080"], {8080: 9}) == ("nc", "127.0.0.1", "9")
    assert MACHINE.resolve_words(["head", "-c", "8080"], {8080: 9}) == ("head", "-c", "8080")


def test_words_stay_as_they_are_where_names_resolve() -> None:
    words = ("curl", "-s", "http://server:8080/")
    assert PRIVATE.resolve_words(words) == words


def test_an_unknown_network_or_host_names_the_choices() -> None:
    with pytest.raises(UsageError) as network:
        create("three-hosts")
    assert "two-hosts" in network.value.fix
    with pytest.raises(UsageError) as host:
        PRIVATE.address("servr")
    assert "server" in host.value.fix
