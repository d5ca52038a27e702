"""What the toolkit does with the output of Packer, and with signals, without a real process."""

from __future__ import annotations

import signal

import pytest
from fake_aws import FakeClock
from fake_packer import FakeProcess

from packer_toolkit.build.host import Host
from packer_toolkit.build.masking import Mask
from packer_toolkit.build.packer_process import PackerProcess
from packer_toolkit.build.request import BuildRequest
from packer_toolkit.signals import ReceivedSignals

X86 = "amazon-ebs.x86_64"
EXPIRED = f"==> {X86}: Error terminating instance, may still be around: RequestExpired: x"


class Build:
    """A build whose Packer prints some lines.

    Attributes:
        shown: Lines of Packer that the user sees.
        echoed: Lines of the toolkit.
        killed: Signals to the process group.
    """

    def __init__(self, process: FakeProcess, *words: str, **environment: str) -> None:
        self.shown: list[str] = []
        self.echoed: list[str] = []
        self.killed: list[int] = []
        self.signals = ReceivedSignals()
        self.packer = PackerProcess(
            BuildRequest.read(words, environment),
            Host(
                self.shown.append,
                self.echoed.append,
                start=process,
                kill_group=lambda _, number: self.killed.append(number),
                clock=FakeClock(),
            ),
            self.signals,
            Mask(environment),
        )

    def run(self) -> int:
        """Run Packer."""
        return self.packer.run("/bin/packer")


def test_output_is_shown_and_read() -> None:
    """Secrets are masked, and the exit code of Packer is returned."""
    process = FakeProcess([f"==> {X86}: Instance ID: i-0abc", "the secret1234 word"], code=1)
    build = Build(process, "-except=x", MY_TOKEN="secret1234")  # noqa: S106 - opens nothing
    assert build.run() == 1
    assert build.shown == [f"==> {X86}: Instance ID: i-0abc\n", "the *** word\n"]
    assert build.packer.output.builds[X86].resources == [("instance", "i-0abc")]
    assert process.command == ["/bin/packer", "build", "-only=amazon-ebs.*", "-except=x", "."]
    assert process.options["start_new_session"]
    assert process.options["env"]["PACKER_NO_COLOR"] == "1"
    # What outlives Packer is killed with its group.
    assert build.killed == [signal.SIGKILL]


def test_a_signal_is_forwarded_once_and_then_kills() -> None:
    """Packer cleans up after the first signal, and is killed by the second one."""

    def send() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            build.signals.receive(number)

    process = FakeProcess(on_wait=send)
    build = Build(process)
    build.packer.output.read(f"==> {X86}: Instance ID: i-0abc", 0)
    build.run()
    assert process.signals == [signal.SIGTERM]
    assert build.killed == [signal.SIGKILL, signal.SIGKILL]
    assert build.echoed == [
        "Received SIGINT: waiting for Packer to clean up; send it again to stop now",
        "Received SIGTERM again: killing Packer; resources that cannot be deleted immediately are "
        "listed",
    ]
    assert list(build.packer.output.interrupted) == [X86]
    assert build.signals.exit_code == 130


def test_a_signal_before_the_start_is_forwarded() -> None:
    """A signal that is received while the process starts is not lost."""
    process = FakeProcess()
    build = Build(process)
    build.signals.receive(signal.SIGHUP)
    build.run()
    assert process.signals == [signal.SIGTERM]


def test_packer_without_credentials_is_killed() -> None:
    """It would repeat each call for minutes."""
    build = Build(FakeProcess([EXPIRED, EXPIRED]))
    assert build.run() == 1
    assert build.killed[0] == signal.SIGKILL
    assert build.echoed == [
        "AWS credentials have expired and Packer cannot clean up; stopping Packer"
    ]


def test_a_deadline_stops_the_build_like_a_signal() -> None:
    """The reason is for the report."""
    process = FakeProcess(on_wait=lambda: build.packer.stop("too late"))
    build = Build(process)
    build.run()
    assert process.signals == [signal.SIGTERM]
    assert build.packer.stop_reason == "too late"
    assert build.signals.exit_code == 143


def test_a_refused_session_stops_packer_once() -> None:
    """Packer would start sessions until ssh_timeout is over; repetitions are not shown."""
    starts = [f"==> {X86}: Starting portForwarding session {number}" for number in range(3)]
    refused = f"==> {X86}: ssm error: AccessDenied"
    process = FakeProcess([*starts, refused, refused])
    build = Build(process)
    build.run()
    assert build.packer.stop_reason == (
        "Session Manager refused the session: AccessDenied; the build is stopped"
    )
    assert process.signals == [signal.SIGTERM]
    assert build.shown.count(f"{refused}\n") == 1


@pytest.mark.parametrize(("number", "signals"), [(signal.SIGINT, []), (signal.SIGTERM, [15])])
def test_an_interactive_packer_gets_no_second_interrupt(number: int, signals: list[int]) -> None:
    """The terminal gives Packer Ctrl-C already; its output is not read."""
    process = FakeProcess(["x"], on_wait=lambda: build.signals.receive(number))
    build = Build(process, "-debug")
    assert build.run() == 0
    assert (process.signals, build.shown) == (signals, [])


def test_a_process_that_has_ended_is_not_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal may come after the end of Packer."""

    def refuse(*_: int) -> None:
        raise ProcessLookupError

    process = FakeProcess(on_wait=lambda: build.signals.receive(15))
    build = Build(process)
    build.packer.kill_group = refuse
    monkeypatch.setattr(process, "send_signal", refuse)
    assert build.run() == 0


def test_a_third_signal_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for any more, and the exit code is that of the first signal."""
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    received = ReceivedSignals()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
        received.receive(number)
    assert codes == [130]
    assert received.is_forced
