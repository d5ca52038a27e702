"""The tasks that have their own tests elsewhere, each run once through Task, for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from rig.aws.credentials import ACCOUNT
from rig.aws.rig import Ec2
from rig.repositories.template import git, release, render, snapshot
from rig.run.tasks import Tasks, says

pytestmark = pytest.mark.integration


@pytest.fixture
def aws(tasks: Tasks, ec2: Ec2) -> Tasks:
    """Return tasks in a shell with credentials of AWS, and no role to assume."""
    return Tasks(tasks.repository, {**tasks.env, **ec2.env, "SOL_CET_USER_ROLE": "none"})


def test_create_legacy_packer_deps(aws: Tasks, ec2: Ec2) -> None:
    """What toolkit.env names is read from SSM; git sees none of it."""
    ssm = ec2.client("ssm")
    ssm.put_parameter(Name="/packer/vpc_id", Value="vpc-1", Type="String")
    ssm.put_parameter(Name="/packer/token", Value="hush", Type="SecureString")
    settings = aws.repository / "toolkit.env"
    text = settings.read_text()
    settings.write_text(text.replace("LEGACY_SSM_PARAMETERS=", "LEGACY_SSM_PARAMETERS=/packer/"))
    before = git(aws.repository, "status", "--porcelain")
    done = aws.run("create-legacy-packer-deps", folder="inspec")
    assert done.returncode == 0, done.stderr
    assert (aws.repository / "legacy-deps/packer/vpc_id").read_text() == "vpc-1"
    assert not (aws.repository / "legacy-deps/packer/token").exists()
    values = json.loads((aws.repository / "legacy-deps.auto.pkrvars.json").read_text())
    assert values["vpc_id"] == "vpc-1"
    assert git(aws.repository, "status", "--porcelain") == before

    absent = aws.run("create-legacy-packer-deps", "--", "/packer/none", "/packer/neither")
    assert absent.returncode == 1
    assert "/packer/none" in says(absent)
    assert "/packer/neither" in says(absent)


def test_doctor(aws: Tasks) -> None:
    """On this machine, whose engine has the image."""
    settings = aws.repository / "toolkit.env"
    settings.write_text(
        re.sub(r"AWS_ACCOUNT_ID=\d+", f"AWS_ACCOUNT_ID={ACCOUNT}", settings.read_text())
    )
    done = aws.run("doctor", "--", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    assert found["image"]["found"].endswith("is on this machine")


def test_format(aws: Tasks) -> None:
    """What it changes stays the repository's owner's."""
    values = aws.repository / "image.auto.pkrvars.hcl"
    text = values.read_text()
    values.write_text(text.replace("image_name        =", "image_name ="))
    subprocess.run(["chown", "-R", "4321:4321", aws.repository], check=True)
    done = aws.run("format")
    assert (done.returncode, done.stdout) == (0, "formatted image.auto.pkrvars.hcl\n"), done.stderr
    assert values.read_text() == text
    assert values.stat().st_uid == 4321


@pytest.mark.parametrize("task", ["packer-build", "create-legacy-packer-deps"])
def test_access_to_aws_that_does_not_work_is_told(aws: Tasks, ec2: Ec2, task: str) -> None:
    """None, expired, out of reach: a line each, and no build has begun."""
    more = ("--", "/packer/x") if task == "create-legacy-packer-deps" else ()
    offline = dict.fromkeys(("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_STS"), "http://127.0.0.1:9")
    away = aws.run(task, *more, env={**offline, "AWS_MAX_ATTEMPTS": "1"})
    nobody = aws.run(task, *more, env={"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    ec2.expire_key(ec2.env["AWS_ACCESS_KEY_ID"])
    expired = aws.run(task, *more)
    for done in (away, nobody, expired):
        assert done.returncode in (3, 4), done.stdout + done.stderr
        last = says(done).splitlines()[-1]
        assert last.startswith("packer-toolkit: "), done.stderr
        assert "Traceback" not in done.stdout + done.stderr
    assert ec2.calls("RunInstances") == []


def test_the_three_tasks_of_the_template(tmp_path: Path) -> None:
    """A newer release is told, shown and taken, on this machine and without a container."""
    template = snapshot(tmp_path / "template")
    repository = render(template, tmp_path / "a team's répo" / "packer-ami-web")
    tasks = Tasks(repository, {"PACKER_TOOLKIT_TRUST": "true"})
    same = tasks.run("template-check")
    assert same.returncode == 0, same.stderr
    assert "Up to date" in same.stdout
    readme = template / "template/inspec/README.md"
    readme.write_text(readme.read_text() + "\nOne line more.\n")
    release(template, "v1.1.0")
    newer = tasks.run("template-check", "--", "--json", folder="inspec")
    assert json.loads(newer.stdout), newer.stderr
    shown = tasks.run("template-diff", "--", "--trust")
    assert "+One line more." in shown.stdout, shown.stdout + shown.stderr
    taken = tasks.run("template-update", "--", "--trust")
    assert taken.returncode == 0, taken.stdout + taken.stderr
    assert "One line more." in (repository / "inspec/README.md").read_text()
    assert os.path.exists(repository / ".copier-answers.yml")
