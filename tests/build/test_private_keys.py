"""A private key in the output of a build is masked in all its lines; nothing else is hidden."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from packer_toolkit.build.masking import Mask
from packer_toolkit.build.output import PackerOutput
from packer_toolkit.build.private_keys import PrivateKeys
from packer_toolkit.pipeline.artifacts import BuildArtifacts
from packer_toolkit.pipeline.outcome import RunContext, collect_outcome
from packer_toolkit.pipeline.summary import write_summary


def make_key(kind: str = "OPENSSH PRIVATE KEY", lines: int = 6, width: int = 64) -> list[str]:
    """Return the lines of an invented key, with a short last one."""
    body = base64.b64encode(secrets.token_bytes(width * lines)).decode()[: width * lines - 51]
    cut = [body[start : start + width] for start in range(0, len(body), width)]
    return [f"-----BEGIN {kind}-----", *cut, f"-----END {kind}-----"]


def follow(*lines: str) -> list[str]:
    """Return lines as the log shows them."""
    mask = Mask({}).follow()
    return [mask(line) for line in lines]


def prefixed(name: str, *lines: str, arrow: str = "   ") -> list[str]:
    """Return lines as Packer prints them."""
    return [f"{arrow} {name}: {line}\n" for line in lines]


def leaked(key: list[str], text: str) -> list[str]:
    """Return the lines of a key's body that can be read in a text."""
    return [line for line in key[1:-1] if line.strip() in text]


KINDS = [
    *("PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY"),
    *("ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_line_of_a_key_is_masked_in_the_log(kind: str) -> None:
    """Between BEGIN and END each line is a mask behind Packer's prefix (review C9)."""
    key = make_key(kind)
    log = follow(*prefixed("amazon-ebs.x86_64", "before", *key, "after"))
    prefix = "    amazon-ebs.x86_64: "
    assert log == [f"{prefix}before\n", *[f"{prefix}***\n"] * len(key), f"{prefix}after\n"]


DECORATIONS: dict[str, Callable[[str], str]] = {
    "indented": lambda line: f"      {line}",
    "quoted": lambda line: f'"{line}",',
    "set -x": lambda line: f"+ echo '{line}'",
    "added in a diff": lambda line: f"+{line}",
    "removed in a diff": lambda line: f"-{line}",
    "carriage return": lambda line: f"{line}\r",
    "numbered": lambda line: f"  12  {line}",
    "table": lambda line: f"| {line} |",
    "with a time": lambda line: f"Nov 26 20:00:00 host app[12]: {line}",
    "colored": lambda line: f"\x1b[31m{line}\x1b[0m",
    "found by grep": lambda line: line.replace("PRIVATE", "\x1b[01;31m\x1b[KPRIVATE\x1b[m\x1b[K"),
}


@pytest.mark.parametrize("name", list(DECORATIONS))
@pytest.mark.parametrize(
    "packer",
    [
        "    amazon-ebs.x86_64: {}",
        "==> amazon-ebs.x86_64: {}",
        "\x1b[0;32m    amazon-ebs.x86_64: {}\x1b[0m",
        "2026-11-26T20:00:00Z: ==> 2026-11-26T20:00:00Z: amazon-ebs.x86_64: {}",
        "1764187200,amazon-ebs.x86_64,ui,message,    amazon-ebs.x86_64: {}",
        "    amazon-ebs: {}",
        "{}",
    ],
)
def test_a_decorated_key_is_masked(name: str, packer: str) -> None:
    """Whatever stands before and after the lines of a key, no part of it is shown (review C9)."""
    key = make_key()
    log = follow(*(packer.format(DECORATIONS[name](line)) for line in [*key, "after"]))
    assert leaked(key, "\n".join(log)) == []
    assert key[-2] not in "\n".join(log)
    assert "after" in log[-1]


def test_a_key_of_one_line_with_escaped_line_breaks_is_masked() -> None:
    """A key in JSON, as Ansible prints it, is masked and the text around it stays (review C9)."""
    key = make_key()
    shown = json.dumps({"key": "\n".join(key), "more": 1})
    (line,) = follow(f"    amazon-ebs.x86_64: ok: [default] => {shown}")
    assert line == '    amazon-ebs.x86_64: ok: [default] => {"key": "***", "more": 1}'
    (line,) = follow(f"x {json.dumps(shown)} y")
    assert leaked(key, line) == []
    assert line.endswith(" y")


def test_two_builds_that_print_at_the_same_time_have_a_state_each() -> None:
    """A key of one build hides nothing of another one (review C9)."""
    key = make_key()
    lines = []
    for number, line in enumerate(key):
        lines += prefixed("amazon-ebs.x86_64", line)
        lines += prefixed("amazon-ebs.arm64", f"line {number}", arrow="==>")
    log = follow(*lines)
    assert leaked(key, "".join(log)) == []
    assert log[1::2] == prefixed(
        "amazon-ebs.arm64", *(f"line {number}" for number in range(len(key))), arrow="==>"
    )


def test_two_keys_at_the_same_time_are_both_masked() -> None:
    """The end of one key does not end the other one (review C9)."""
    one, other = make_key(lines=3), make_key(lines=9)
    lines = []
    for number, line in enumerate(other):
        lines += prefixed("a.b", line)
        lines += prefixed("a.c", one[number] if number < len(one) else "done")
    log = "".join(follow(*lines))
    assert (leaked(one, log), leaked(other, log)) == ([], [])
    assert "a.c: done" in log


@settings(derandomize=True, deadline=None)
@given(turns=st.lists(st.booleans(), min_size=8, max_size=24), sed=st.booleans())
def test_a_key_on_both_streams_of_a_script_is_masked(turns: list[bool], sed: bool) -> None:
    """However standard output and standard error of one build interleave (review C9)."""
    one, other = make_key(lines=4), make_key(lines=6)
    waiting = [["out"] + ([f"+ {line}" for line in one] if sed else one), ["err", *other]]
    order = []
    for turn in [*turns, *[False] * 10, *[True] * 10]:
        if waiting[turn]:
            order.append(waiting[turn].pop(0))
    log = "".join(follow(*prefixed("amazon-ebs.x86_64", *order, "after")))
    assert not leaked(one, log), log
    assert not leaked(other, log), log
    assert log.endswith("x86_64: after\n")


def test_a_line_without_a_prefix_goes_on_where_the_last_one_ended() -> None:
    """A carriage return inside the output hides nothing of a key (review C9)."""
    key = make_key()
    log = follow(
        f"    a.b: {key[0]}\n", *(f"{line}\n" for line in key[1:]), "Build 'a.b' finished\n"
    )
    assert leaked(key, "".join(log)) == []
    assert log[-1] == "Build 'a.b' finished\n"


def test_a_beginning_without_an_end_hides_some_lines_and_says_so() -> None:
    """A stray BEGIN hides at most 30 lines, and the log reports that it did (review C9)."""
    text = [f"compiling file {number}, please wait" for number in range(100)]
    log = follow(*prefixed("a.b", f"key.pem:{make_key()[0]}", *text))
    assert "the end of a private key is missing: output is shown again" in log[30]
    assert log[31:] == prefixed("a.b", *text[30:])


def test_the_next_step_of_packer_ends_a_beginning_without_an_end() -> None:
    """What follows in the next script or after a failure is shown (review C9)."""
    for step in (
        "Provisioning with Ansible...",
        "Provisioning step had errors: Running the cleanup",
    ):
        log = follow(*prefixed("a.b", make_key()[0], "x"), *prefixed("a.b", step, "y", arrow="==>"))
        assert log[1:] == ["    a.b: ***\n", f"==> a.b: {step}\n", "==> a.b: y\n"]


def test_a_key_without_an_end_is_masked_also_after_other_lines() -> None:
    """Lines of a key are masked after the log is shown again (review C9)."""
    key = make_key()
    text = [f"line {number} of it" for number in range(40)]
    log = "".join(follow(*prefixed("a.b", key[0], *text, *key[1:3], "visible")))
    assert leaked(key[:4], log) == []
    assert log.endswith("a.b: visible\n")


def test_a_long_key_is_masked_to_its_end() -> None:
    """However many lines a key has, the limit for a missing END does not count them (review C9)."""
    key = make_key("PGP PRIVATE KEY BLOCK", lines=400)
    log = follow(*prefixed("a.b", *key, "after"))
    assert leaked(key, "".join(log)) == []
    assert log[-1] == "    a.b: after\n"


def test_headers_of_an_encrypted_key_are_masked() -> None:
    """Proc-Type, DEK-Info, Comment and empty lines belong to the key (review C9)."""
    key = make_key("RSA PRIVATE KEY")
    key[1:1] = ["Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC,0A1B2C3D4E5F", ""]
    assert follow(*key) == ["***"] * len(key)


def test_a_putty_key_is_masked_and_its_public_part_is_not() -> None:
    """In a PuTTY file the private lines up to the MAC are masked (review C9)."""
    key = make_key()
    file = [
        "PuTTY-User-Key-File-3: ssh-ed25519", "Public-Lines: 1", "AAAAC3NzaC1lZDI1NTE5",
        "Private-Lines: 6", *key[1:-1], "Private-MAC: 0a1b2c3d4e5f", "after",
    ]  # fmt: skip
    log = follow(*file)
    assert leaked(key, "\n".join(log)) == []
    assert log[:3] == file[:3]
    assert log[-2:] == ["***", "after"]


def test_a_key_in_base64_is_masked() -> None:
    """A PEM file that is base64 again, on one line or several, is masked (review C9)."""
    key = "\n".join(make_key("RSA PRIVATE KEY")) + "\n"
    text = base64.b64encode(key.encode()).decode()
    lines = [text[start : start + 76] for start in range(0, len(text), 76)]
    assert follow(f"tls.key: {text}", "after") == ["tls.key: ***", "after"]
    log = follow(*prefixed("a.b", *lines[:-1], "after it"))
    assert log == [*prefixed("a.b", *["***"] * (len(lines) - 1), "after it")]


@pytest.mark.parametrize(
    "kind", ["CERTIFICATE", "CERTIFICATE REQUEST", "PUBLIC KEY", "PGP PUBLIC KEY BLOCK"]
)
def test_what_is_public_stays_readable(kind: str) -> None:
    """Certificates and public keys are shown as they are (review C9)."""
    key = make_key(kind)
    assert follow(*key) == key
    encoded = base64.b64encode("\n".join(key).encode()).decode()
    assert follow(encoded) == [encoded]


def test_a_key_in_a_variable_is_masked_line_by_line() -> None:
    """Lines of a key in the environment are masked alone, whatever its name is (review C9)."""
    key = make_key()
    mask = Mask({"DEPLOYMENT": "\n".join(key)})
    assert len(key[1:-2]) > 3
    for line in key[1:-2]:
        assert mask.secrets(f"read {line}.") == "read ***."


def test_text_after_the_end_of_a_key_is_shown() -> None:
    """The mask ends where the key ends, also within a line (review C9)."""
    key = make_key()
    assert follow(f"a {key[0]}", *key[1:-1], f"{key[-1]} b {key[0]}", f"x{key[-1]} c") == [
        "a ***", *["***"] * (len(key) - 2), "*** b ***", "*** c",
    ]  # fmt: skip


def test_the_end_alone_masks_the_lines_before_it_in_what_is_published() -> None:
    """Lines that lost their BEGIN are masked where all of them are known (review C9)."""
    key = make_key()
    lines = ["a.b: Reading", *(f"a.b: {line}" for line in key[2:])]
    shown = Mask({}).lines(lines, {"a.b"})
    assert shown == ["a.b: Reading", *["a.b: ***"] * len(key[2:-1]), f"a.b: {key[-1]}"]
    assert leaked(key, Mask({}).everything("\n".join(["Reading", *key[2:]]))) == []
    (line,) = follow("\\n".join(key[2:]))
    assert leaked(key, line) == []


def test_the_log_keeps_the_end_that_what_is_published_needs() -> None:
    """Lines that went through the log are masked by their END alone after that (review C9)."""
    key = make_key()
    log = [line.rstrip("\n") for line in follow(*prefixed("a.b", "Reading", *key[2:]))]
    assert log[-1] == f"    a.b: {key[-1]}"
    shown = Mask({}).lines([line.removeprefix("    ") for line in log], {"a.b"})
    assert leaked(key, "\n".join(shown)) == []
    assert shown[0] == "a.b: Reading"
    output = PackerOutput()
    follow_log = Mask({}).follow()
    lines = [*prefixed("a.b", *key[2:]), "Build 'a.b' errored after 1 second: no\n"]
    for number, line in enumerate(lines):
        output.read(line, number, follow_log(line))
    last = Mask({}).lines(output.get_last_lines(), output.builds)
    assert leaked(key, "\n".join(last)) == []
    report = {"schema": 1, "exit_code": 1, "last_lines": last, "builds": [{"name": "a.b"}]}
    artifacts = BuildArtifacts({"build-report.json": json.dumps(report).encode()})
    assert leaked(key, write_summary(artifacts, result="failure")) == []


def test_report_issue_and_summary_hold_no_line_of_a_key() -> None:
    """Lines are masked before they are cut, in every place that publishes them (review C9)."""
    key = make_key(lines=60)
    output = PackerOutput()
    mask = Mask({})
    log = mask.follow()
    lines = [*prefixed("a.b", "first", *key, "last"), "Build 'a.b' errored after 1 second: no\n"]
    for number, line in enumerate(lines):
        output.read(line, number, log(line))
    assert leaked(key, "\n".join(mask.lines(output.get_last_lines(), output.builds))) == []
    for shown in (
        [f"a.b: {line}" for line in ["first", *key, "last"]],
        [f"a.b: {line}" for line in ["first", *key]],
        [f"a.b: {line}" for line in key[3:]],
        ["\n".join(key)],
    ):
        report = {"schema": 1, "exit_code": 1, "last_lines": shown, "builds": [{"name": "a.b"}]}
        artifacts = BuildArtifacts({"build-report.json": json.dumps(report).encode()})
        assert leaked(key, "\n".join(collect_outcome(artifacts, RunContext("daily")).lines)) == []
        assert leaked(key, write_summary(artifacts, result="failure")) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN PRIVATE KEY-----" * 40_000,
        "-----BEGIN " * 90_000,
        "-----BEGIN A " * 80_000,
        "-" * 1_000_000,
        "A" * 1_000_000,
        "-----END PRIVATE KEY-----" * 40_000,
        "Private-Lines: 1" * 60_000,
        "LS0tLS1CRUdJTiBSU0Eg" * 50_000,
        "eyJ-" * 250_000,
        "token" * 200_000,
        "http://a:" * 100_000,
        " " * 1_000_000,
    ],
    ids=lambda line: line[:20],
)
def test_the_time_for_a_line_grows_with_its_length(line: str) -> None:
    """A line of a megabyte is masked in seconds, whatever it holds (review C9)."""
    start = time.monotonic()
    Mask({}).follow()(line)
    Mask({}).everything(line)
    assert time.monotonic() - start < 20


def test_lines_without_a_key_are_not_changed() -> None:
    """Colors, line ends and spaces of other lines stay (review C9)."""
    for line in ("\x1b[1;32m==> a.b: PRIVATE\x1b[0m\r\n", "", "\n", "  x  ", "PRIVATE KEY"):
        assert PrivateKeys().mask(line) == line
