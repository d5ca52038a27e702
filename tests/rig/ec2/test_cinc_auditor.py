"""The stand-in of Cinc Auditor is strict about what it can see, and open about the rest."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rig.ec2 import Ec2
from rig.tools import require

STAND_IN = Path(__file__).parents[1] / "standins/bin/cinc-auditor"

CONTROL = """\
control 'web-1' do
  impact 0.7
  title 'The page is served'
  desc 'Nobody sees an instance that does not answer.'
  describe port(80) do
    it { should be_listening }
  end
end
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    """Return a profile in which nothing is wrong."""
    require("ruby")
    folder = tmp_path / "inspec"
    (folder / "controls").mkdir(parents=True)
    (folder / "inspec.yml").write_text("name: web\nversion: 1.0.0\n")
    (folder / "controls/web.rb").write_text(CONTROL)
    return folder


def auditor(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the stand-in."""
    return subprocess.run(
        [STAND_IN, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ)
    )


def test_it_says_that_it_is_a_stand_in_and_executed_nothing(profile: Path) -> None:
    """Nobody may take its exit code 0 for a passed control."""
    done = auditor("exec", profile, "-t", "local://")
    assert done.returncode == 0, done.stderr
    assert "STAND-IN: no control was executed" in done.stdout
    assert "passed" not in done.stdout


def test_its_json_report_calls_every_control_skipped(profile: Path, tmp_path: Path) -> None:
    """The report has InSpec's form as far as it is honest."""
    file = tmp_path / "out/report.json"
    done = auditor("exec", profile, "--reporter", "cli", f"json:{file}")
    assert done.returncode == 0, done.stderr
    report = json.loads(file.read_text())
    assert report["version"] == "STAND-IN"
    (control,) = report["profiles"][0]["controls"]
    assert (control["id"], control["impact"]) == ("web-1", 0.7)
    assert control["results"][0]["status"] == "skipped"


def test_a_control_can_be_made_to_fail(profile: Path) -> None:
    """InSpec's exit code for failed controls is 100."""
    (profile / "controls/web.rb").write_text(CONTROL.replace("  impact", "  # rig: fail\n  impact"))
    done = auditor("exec", profile)
    assert done.returncode == 100
    assert "web-1: failed" in done.stdout


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("inspec.yml", "name: [", "is not YAML"),
        ("inspec.yml", "name: web\n", "has no version"),
        ("controls/web.rb", "control 'x' do\n", "is not Ruby"),
        ("controls/web.rb", "puts 1\n", "has no control"),
        ("controls/web.rb", CONTROL.replace("  impact 0.7\n", ""), "has no impact"),
        ("controls/web.rb", CONTROL.replace("  title", "  # title"), "has no title"),
        ("controls/web.rb", CONTROL.replace("  desc", "  tag"), "has no desc"),
        ("controls/two.rb", CONTROL, "defined twice"),
    ],
)
def test_a_malformed_profile_is_refused(profile: Path, file: str, text: str, reason: str) -> None:
    """One line says what is wrong, and the exit code is 1."""
    (profile / file).write_text(text)
    done = auditor("exec", profile)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert reason in done.stderr


def test_the_target_must_answer_to_the_given_key(ec2: Ec2, profile: Path, tmp_path: Path) -> None:
    """The right key and user pass, with sudo too; a wrong one does not."""
    parent = ec2.newest_parent("debian-12-amd64-*")
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    with ec2.boot(parent) as instance:
        target = f"ssh://admin@{instance['PrivateIpAddress']}:22"
        right = auditor("exec", profile, "-t", target, "-i", instance["KeyFile"], "--sudo")
        wrong = auditor("exec", profile, "-t", target, "-i", other)
        absent = auditor("exec", profile, "-t", target, "-i", tmp_path / "none")
    assert right.returncode == 0, right.stderr
    assert (wrong.returncode, absent.returncode) == (1, 1)
    assert "Permission denied" in wrong.stderr


def test_a_container_is_a_target_too(
    ec2: Ec2, profile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local Docker build uses it."""
    for name, value in ec2.docker_env.items():
        monkeypatch.setenv(name, value)
    parent = ec2.newest_parent("debian-12-amd64-*")
    with ec2.boot(parent) as instance:
        name = ec2.container(instance["InstanceId"])
        assert auditor("exec", profile, "-t", f"docker://{name}").returncode == 0
    gone = auditor("exec", profile, "-t", f"docker://{name}")
    assert gone.returncode == 1
    assert "cannot be reached" in gone.stderr
