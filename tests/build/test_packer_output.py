"""Packer's lines are understood: phases, the failed step, and what matters of the output."""

from __future__ import annotations

from packer_toolkit.build.output import PHASES, PackerOutput

X86, ARM = "amazon-ebs.x86_64", "amazon-ebs.arm64"

GOOD = f"""\
{X86}: output will be in this color.

==> {X86}: Prevalidating any provided VPC information
==> {X86}: Found Image ID: ami-caf2757946eb68c35
==> {X86}: Creating temporary keypair: packer_6b06
==> {X86}: Creating temporary security group for this instance: packer_6b07
==> {X86}: Launching a source AWS instance...
==> {X86}: Adding tag: "Name": "packer-ami-small-build"
    {X86}: Instance ID: i-9a0b99f104f5c502f
==> {X86}: Connected to SSH!
==> {X86}: Running local shell script: /tmp/packer-shell1
==> {X86}: Provisioning with shell script: ./provisioners/prepare.sh
==> {X86}: Provisioning with shell script: ./provisioners/shell/10-hello.sh
==> {X86}: Provisioning with Ansible...
    {X86}: TASK [baseline : Write the release file] ***************
==> {X86}: Running local shell script: /tmp/packer-shell2
==> {X86}: Provisioning with shell script: ./provisioners/cleanup.sh
==> {X86}: Stopping the source instance...
==> {X86}: Creating AMI small from instance i-9a0b99f104f5c502f
==> {X86}: AMI: ami-763ca345583a33bd4
==> {X86}: Terminating the source AWS instance...
Build '{X86}' finished after 7 seconds 760 milliseconds.

==> Builds finished. The artifacts of successful builds are:
--> {X86}: AMIs were created:
eu-west-1: ami-763ca345583a33bd4
"""


def read(text: str) -> PackerOutput:
    """Read an output, a line each second."""
    output = PackerOutput()
    for time, line in enumerate(text.splitlines(keepends=True)):
        output.read(line, float(time))
    return output


def test_each_phase_has_its_time() -> None:
    """All of them, in order, and together as long as the build."""
    (build,) = read(GOOD).report(100)
    assert [phase["name"] for phase in build["phases"]] == [name for name, _ in PHASES]
    seconds = {phase["name"]: phase["seconds"] for phase in build["phases"]}
    assert seconds["start"] == 2
    assert seconds["shell"] == 4
    assert seconds["image, copies"] == 3
    ended = next(n for n, line in enumerate(GOOD.splitlines()) if line.startswith("Build '"))
    assert sum(seconds.values()) == ended
    assert (build["ok"], build["failed_step"]) == (True, None)
    assert build["parent"] == {"id": "ami-caf2757946eb68c35", "name": ""}


def test_what_was_made_is_remembered() -> None:
    """For the day when nobody can ask AWS any more."""
    (build,) = read(GOOD).builds.values()
    assert build.resources == [
        ("key-pair", "packer_6b06"),
        ("security-group", "packer_6b07"),
        ("instance", "i-9a0b99f104f5c502f"),
        ("image", "ami-763ca345583a33bd4"),
    ]


def fail_after(line: str, *said: str) -> PackerOutput:
    """Let the build fail after the line that holds a text, and after some more lines."""
    lines = GOOD.splitlines()
    end = next(n for n, each in enumerate(lines) if line in each) + 1
    return read(
        "\n".join(
            [
                *lines[:end],
                *(f"    {X86}: {text}" for text in said),
                f"==> {X86}: Provisioning step had errors: Running the cleanup provisioner",
                f"==> {X86}: Terminating the source AWS instance...",
                f"==> {X86}: Deleting temporary keypair...",
                f"Build '{X86}' errored after 3 seconds: Script exited with 3.",
            ]
        )
    )


def test_the_failed_step_is_named() -> None:
    """Script, task or phase; the clean-up that follows does not count as one."""
    steps = {
        fail_after(after, *said).report(100)[0]["failed_step"]
        for after, said in [
            ("10-hello.sh", ()),
            ("TASK [", ("fatal: [default]: FAILED! => {}", "TASK [always] ****")),
            ("packer-shell2", ()),
            ("Stopping", ()),
            ("Launching", ()),
        ]
    }
    assert steps == {
        "shell: 10-hello.sh",
        "ansible: baseline : Write the release file",
        "inspec",
        "image, copies",
        "instance, until login",
    }


def test_the_last_lines_are_those_before_the_error() -> None:
    """Without tags, colours and the clean-up; Packer's own summary is there."""
    lines = fail_after("10-hello.sh", "\x1b[1;31mno such file\x1b[0m").last_lines()
    assert lines[-2] == f"{X86}: no such file"
    assert lines[-1].startswith(f"Build '{X86}' errored after")
    assert not any("Adding tag" in line or "keypair..." in line for line in lines)


def test_two_builds_are_told_apart() -> None:
    """Their lines come mixed; only the one that failed is quoted."""
    both = [
        f"==> {X86}: Connected to SSH!",
        f"==> {ARM}: Connected to SSH!",
        f"==> {X86}: Provisioning with shell script: a/10-x.sh",
        f"==> {ARM}: Provisioning with shell script: a/20-y.sh",
        f"Build '{X86}' finished after 7 seconds.",
        f"Build '{ARM}' errored after 8 seconds: Script exited.",
    ]
    output = read("\n".join(both))
    assert [(b["name"], b["ok"], b["failed_step"]) for b in output.report(9)] == [
        (X86, True, None),
        (ARM, False, "shell: 20-y.sh"),
    ]
    assert not any(line.startswith(X86) for line in output.last_lines())


def test_lines_with_times_and_colours_are_read_too() -> None:
    """As -timestamp-ui and a terminal have them."""
    time = "2026-11-25T03:00:00Z: "
    output = read(f"{time}\x1b[1;32m==> {X86}: Connected to SSH!\x1b[0m\n")
    assert output.builds[X86].phase == "shell"


def test_junk_is_survived() -> None:
    """A team's scripts print what they like."""
    junk = ["", "==>", "==> :", "    x: y", "Build '' errored", "\x00\xff", "TASK [", "a" * 10_000]
    output = read("\n".join([*junk, *(f"    {X86}: {line}" for line in junk)]))
    assert max(map(len, output.last_lines())) < 600


def test_trouble_in_the_clean_up_is_noticed() -> None:
    """Packer ends with 0 nevertheless."""
    assert not read(GOOD).has_failed_cleanup
    text = f"==> {X86}: Error cleaning up keypair. Please delete the key manually: packer_1\n"
    assert read(GOOD + text).has_failed_cleanup
    text = f"==> {X86}: Error terminating instance, may still be around: api error RequestExpired"
    assert read(GOOD + text).has_invalid_credentials
