"""Unwind rules against readelf, lines against addr2line, and what damaged files do."""

from __future__ import annotations

import random
import re
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from socklab import arch
from socklab.engine.source import dwarf
from socklab.engine.source.cfi import Unwinder
from socklab.engine.source.cfi_program import AT_OFFSET, Rule, evaluate
from socklab.engine.source.dwarf import LineTable
from socklab.engine.source.elf import Image
from socklab.engine.source.user_code import is_library

needs_gcc = pytest.mark.skipif(
    not all(map(shutil.which, ("gcc", "readelf", "addr2line", "nm"))), reason="no gcc or no binutils"
)

PROGRAM = """\
#include <stdio.h>
#include <stdlib.h>
static inline int twice(int n) {
  if (n < 0)
    abort();
  return n * 2;
}
static int each(const int *all, int count) {
  int sum = 0;
  for (int i = 0; i < count; i++)
    sum += twice(all[i]);
  printf("%d\\n", sum);
  return sum;
}
int main(int argc, char **argv) {
  int all[16];
  for (int i = 0; i < 16; i++)
    all[i] = argc + i;
  int variable[argc + 3];
  variable[0] = each(all, 16);
  return each(variable, 1) + twice(argc);
}
"""


def build(folder: Path, *flags: str) -> str:
    source, program = folder / "program.c", folder / "program"
    source.write_text(PROGRAM)
    subprocess.run(["gcc", *flags, "-o", str(program), str(source)], check=True)
    return str(program)


def rows_of_readelf(path: str) -> Iterator[tuple[int, str, str, str]]:
    """(address, cfa, rbp, ra) of every row that readelf works out, in its own notation: rsp+16, c-16, u."""
    listing = subprocess.run(
        ["readelf", "--debug-dump=frames-interp", "--wide", path], capture_output=True, text=True, check=True
    ).stdout
    columns: list[str] = []
    for line in listing.splitlines():
        fields = line.split()
        if fields[:2] == ["LOC", "CFA"]:
            columns = fields
        elif columns and len(fields) == len(columns) and re.fullmatch(r"[0-9a-f]{16}", fields[0]):
            row = dict(zip(columns, fields, strict=True))
            yield int(fields[0], 16), row["CFA"], row.get("rbp", "u"), row["ra"]


def spelt(rule: Rule) -> tuple[str, str, str]:
    cfa = f"{({6: 'rbp', 7: 'rsp'}).get(rule.cfa_register, '?')}{rule.cfa_offset:+d}"
    fp, ra = (f"c{value[1]:+d}" if value[0] == AT_OFFSET else "u" for value in (rule.fp, rule.ra))
    return "exp" if rule.cfa_expression else cfa, fp, ra


@needs_gcc
@pytest.mark.parametrize("flags", ["-O0", "-O2", "-O2 -static", "-O0 -g -fno-asynchronous-unwind-tables"])
def test_unwind_rules_are_those_of_readelf(tmp_path: Path, flags: str) -> None:
    path = build(tmp_path, *flags.split())
    image = Image(path)
    if image.machine != arch.of("x86_64").elf_machine:
        pytest.skip("register names are x86-64's")
    unwinder = Unwinder(image)
    rows = list(rows_of_readelf(path))
    assert len(rows) > 3
    compared = 0
    for address, cfa, fp, ra in rows[:: max(1, len(rows) // 2000)]:
        rule = unwinder.rule(address)
        # Some rows are of functions the linker threw away, some count from a register that is not followed.
        if rule is None or "exp" in (fp, ra) or rule.signal or not cfa.startswith(("rsp", "rbp", "exp")):
            continue
        assert spelt(rule) == (cfa, fp, ra), hex(address)
        compared += 1
    assert compared > len(rows[:2000]) // 2


@needs_gcc
@pytest.mark.parametrize("form", ["-gdwarf-2", "-gdwarf-3", "-gdwarf-4", "-gdwarf-5", "-gdwarf-5 -gsplit-dwarf", "-gz"])
@pytest.mark.parametrize("optimised", ["-O0", "-O1", "-O2", "-O3"])
def test_every_instruction_has_the_line_addr2line_gives_it(tmp_path: Path, form: str, optimised: str) -> None:
    path = build(tmp_path, "-g", *form.split(), optimised)
    table = LineTable(Image(path))
    assert table.reason == ""
    symbols = subprocess.run(["nm", "-S", path], capture_output=True, text=True, check=True).stdout
    wanted = []
    for fields in map(str.split, symbols.splitlines()):
        if fields[-1].split(".")[0] in ("main", "each", "twice") and len(fields) == 4:
            wanted += range(int(fields[0], 16), int(fields[0], 16) + int(fields[1], 16))
    assert len(wanted) > 50
    # addr2line does not open split files; without the split the same text is made.
    (tmp_path / "whole").mkdir()
    whole = build(tmp_path / "whole", "-g", *form.replace("-gsplit-dwarf", "").split(), optimised)
    answer = subprocess.run(
        ["addr2line", "-e", whole, "-a", "-f", "-i"],
        input="\n".join(map(hex, wanted)),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    expected = []
    for block in re.split(r"^0x[0-9a-f]+\n", answer, flags=re.MULTILINE)[1:]:
        lines = block.splitlines()
        expected.append(
            [
                (function, int(place.rsplit(":", 1)[1].split()[0]))
                for function, place in zip(lines[::2], lines[1::2], strict=True)
            ]
        )
    found = [[(frame.function, frame.line) for frame in table.frames(address)] for address in wanted]
    assert found == expected


@needs_gcc
def test_an_address_outside_the_program_has_no_line(tmp_path: Path) -> None:
    table = LineTable(Image(build(tmp_path, "-g")))
    assert [table.frames(address) for address in (0, 1, 0x400, 0xFFFF_FFFF, 2**63)] == [()] * 5


@needs_gcc
def test_a_damaged_file_gives_no_exception(tmp_path: Path) -> None:
    """Any program can be run: whatever lies in its sections, a look-up answers."""
    whole = Path(build(tmp_path, "-g", "-O2")).read_bytes()
    image = Image(str(tmp_path / "program"))
    (segment,) = [segment for segment in image.segments if segment.executable]
    text = range(segment.vaddr, segment.vaddr + segment.size, 97)
    chance = random.Random(11)
    answers = 0
    for number in range(80):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 20, 400))):
            damaged[chance.randrange(64, len(damaged))] = chance.randrange(256)
        if number % 5 == 0:
            del damaged[chance.randrange(64, len(damaged)) :]
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        try:
            broken = Image(str(path))
        except ValueError:
            continue
        table, unwinder = LineTable(broken), Unwinder(broken)
        for address in text:
            answers += isinstance(table.frames(address), tuple)
            unwinder.rule(address)
    assert answers


@needs_gcc
def test_a_section_that_claims_more_than_the_file_has_is_not_read(tmp_path: Path) -> None:
    path = Path(build(tmp_path, "-g"))
    damaged = bytearray(path.read_bytes())
    (table,) = struct.unpack_from("<Q", damaged, 40)
    for index in range(struct.unpack_from("<H", damaged, 60)[0]):
        (kind,) = struct.unpack_from("<I", damaged, table + index * 64 + 4)
        if kind == 1:  # SHT_PROGBITS: .eh_frame, .debug_info and the others
            struct.pack_into("<Q", damaged, table + index * 64 + 32, 1 << 40)
    path.write_bytes(damaged)
    assert LineTable(Image(str(path))).reason.startswith(dwarf.UNREADABLE)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_elf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError):
        Image(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (b"\x77\x10", 0x1010),  # breg7 +16
        (b"\x77\xa0\x01\x06", 0xDEAD),  # breg7 +160; deref
        (b"\x76\x78\x06", 0xDEAD),  # breg6 -8; deref
        # The PLT's: breg7 +8; breg16 +0; lit15; and; lit11; ge; lit3; shl; plus
        (b"\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22", 0x1008 + (1 << 3)),
        (b"\x32\x08\x05\x1c", (2 - 5) & 2**64 - 1),  # lit2; const1u 5; minus
        (b"\x31\x23\x85\x01", 1 + 0x85),  # lit1; plus_uconst 133
    ],
)
def test_frame_expressions_have_their_value(expression: bytes, value: int) -> None:
    assert evaluate(expression, {6: 0x2000, 7: 0x1000, 16: 0x40102E}, lambda _address: 0xDEAD) == value


def test_an_unknown_operator_is_an_error_not_a_guess() -> None:
    with pytest.raises(ValueError):
        evaluate(b"\x96", {}, lambda _address: 0)


@pytest.mark.parametrize(
    ("path", "library"),
    [
        ("/home/ana/server.c", False),
        ("/tmp/x/main.rs", False),
        ("/usr/src/app/server.c", False),
        ("/library/src/server.c", False),
        ("/usr/include/c++/12/vector", True),
        ("/lib/x86_64-linux-gnu/libc.so.6", True),
        ("/usr/local/lib/libown.so", True),
        ("/rustc/90b35a62/library/std/src/net/tcp.rs", True),
        ("/home/ana/.cargo/registry/src/index/tokio-1.0/src/lib.rs", True),
        ("/home/ana/go/pkg/mod/golang.org/x/net/http.go", True),
        ("/usr/local/go/src/net/http/server.go", True),
        ("../sysdeps/unix/sysv/linux/accept.c", True),
        ("", True),
    ],
)
def test_whose_file_it_is(path: str, library: bool) -> None:
    assert is_library(path) is library


@needs_gcc
def test_too_much_debug_information_is_given_up_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path, "-g")
    monkeypatch.setattr(dwarf, "MAX_DEBUG_BYTES", 10)
    assert LineTable(Image(path)).reason == dwarf.TOO_LARGE
    monkeypatch.undo()
    monkeypatch.setattr(dwarf, "BUDGET_S", -1.0)
    table = LineTable(Image(path))
    assert table.frames(Image(path).entry) == ()
    assert table.reason == dwarf.TOO_LARGE
