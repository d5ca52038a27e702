"""The Terraform modules pass their own tests, and the example and the pages match them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

from rig.host.tools import require
from rig.repositories.copier_command import run_copier
from rig.repositories.template import ROOT, snapshot
from rig.repositories.template_rules import rules
from rig.terraform.programs import Terraform

TERRAFORM = ROOT / "terraform"
EXAMPLE = TERRAFORM / "example"
TESTED = sorted(
    {file.parents[1].relative_to(TERRAFORM) for file in TERRAFORM.rglob("*.tftest.hcl")}
)
DOCUMENTED = sorted(
    file.parent.relative_to(TERRAFORM)
    for file in TERRAFORM.rglob("README.md")
    if "BEGIN_TF_DOCS" in file.read_text()
)
CONFIGURATIONS = sorted(file.parent.relative_to(EXAMPLE) for file in EXAMPLE.rglob("main.tf"))
CONSUMERS = [folder for folder in CONFIGURATIONS if folder.name == "ami-consumer"]
REPOSITORY = "git::https://github.com/ORGANIZATION/template-packer-ami//terraform"


def copy_modules(destination: Path) -> Path:
    """Copy terraform/ without the caches of a developer."""
    ignored = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
    return Path(shutil.copytree(TERRAFORM, destination / "terraform", ignore=ignored))


def read_expected_answers() -> dict[str, object]:
    """Return what the test of ami-builder expects in copier_data: it passes for the real output."""
    text = (TERRAFORM / "ami-builder" / "tests" / "builder.tftest.hcl").read_text()
    block = re.search(r"output\.copier_data\.web\) == jsonencode\(\{\n(.*?)\n +\}\)", text, re.S)
    assert block
    lines = (line.split("=", 1) for line in block[1].splitlines())
    return {question.strip(): json.loads(answer) for question, answer in lines}


@pytest.mark.parametrize("module", TESTED, ids=str)
def test_tests_of_a_module_pass(terraform: Terraform, module: Path, tmp_path: Path) -> None:
    """Terraform and OpenTofu run the tests of each module with a mocked provider."""
    folder = copy_modules(tmp_path) / module
    terraform.run("init", "-backend=false", cwd=folder)
    output = terraform.run("test", cwd=folder).stdout
    runs = sum(file.read_text().count("\nrun ") for file in folder.glob("tests/*.tftest.hcl"))
    assert runs > 0
    assert f"Success! {runs} passed, 0 failed." in output


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=str)
def test_example_is_valid(terraform: Terraform, configuration: Path, tmp_path: Path) -> None:
    """Each configuration of the example uses inputs and outputs that the modules have."""
    modules = copy_modules(tmp_path)
    folder = modules / "example" / configuration
    text = (folder / "main.tf").read_text()
    local = re.sub(rf'"{re.escape(REPOSITORY)}/([^?]+)\?ref=[^"]+"', rf'"{modules}/\1"', text)
    assert local.count(f'"{modules}/') == text.count("module ")
    (folder / "main.tf").write_text(local)
    terraform.run("init", "-backend=false", cwd=folder)
    assert "The configuration is valid" in terraform.run("validate", cwd=folder).stdout


def test_all_parts_are_tested_and_documented() -> None:
    """The module of each account has tests and generated tables, and the example calls it."""
    modules = {"ami-builder", "ami-consumer", "ami-consumer/modules/account"}
    assert modules <= {str(folder) for folder in TESTED}
    assert modules <= {str(folder) for folder in DOCUMENTED}
    text = "".join((EXAMPLE / folder / "main.tf").read_text() for folder in CONFIGURATIONS)
    assert [name for name in modules if f"{REPOSITORY}/{name}?ref=" not in text] == []


@pytest.mark.integration
@pytest.mark.parametrize("module", DOCUMENTED, ids=str)
def test_tables_of_a_module_are_up_to_date(module: Path) -> None:
    """terraform-docs generates the tables that the README has."""
    command = [require("terraform-docs"), "--config", TERRAFORM / ".terraform-docs.yml"]
    command += ["--output-check", TERRAFORM / module]
    check = subprocess.run(command, capture_output=True, text=True, check=False)
    assert check.returncode == 0, check.stdout + check.stderr


def test_module_sources_name_one_release() -> None:
    """All sources name the same release: the newest one, or the next one."""
    texts = [file.read_text() for file in TERRAFORM.rglob("*") if file.suffix in (".md", ".tf")]
    releases = {release for text in texts for release in re.findall(r"\?ref=v([0-9.]+)", text)}
    assert len(releases) == 1
    headings = re.findall(r"^## ([0-9.]+) ", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert Version(releases.pop()) >= max(Version(heading) for heading in headings)


def test_accounts_of_the_example_differ_in_one_line() -> None:
    """dev, test and prod have the same files, except for their name and the key of their state."""
    accounts = {folder.parts[1] for folder in CONSUMERS}
    assert accounts == {"dev", "test", "prod"}
    contents = {
        json.dumps(
            {
                file.name: file.read_text().replace(f'"{folder.parts[1]}', '"ACCOUNT')
                for file in sorted((EXAMPLE / folder).iterdir())
            }
        )
        for folder in CONSUMERS
    }
    assert len(contents) == 1


def test_state_of_each_configuration_has_its_own_key() -> None:
    """The key of the state is the path of the configuration."""
    keys = {}
    for folder in CONFIGURATIONS:
        text = (EXAMPLE / folder / "versions.tf").read_text()
        keys[str(folder)] = re.findall(r'key += "(.+)\.tfstate"', text)
    assert keys == {folder: [folder.removeprefix("env/")] for folder in keys}
    assert len(keys) == 4


def test_account_ids_are_in_one_file() -> None:
    """A team edits one file: no other file of the example has an account ID or a repository."""
    files = [file for file in (EXAMPLE / "env").rglob("*") if file.is_file()]
    with_id = [file.name for file in files if re.search(r"\d{12}|acme/", file.read_text())]
    assert with_id == ["project.yaml"]
    accounts = yaml.safe_load((EXAMPLE / "env" / "project.yaml").read_text())["accounts"]
    assert all(isinstance(account, str) for account in accounts.values())


def test_copier_data_answers_questions() -> None:
    """Each key is a question of copier.yml, and each value is an answer that its rule accepts."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text())
    answers = read_expected_answers()
    text = (TERRAFORM / "ami-builder" / "outputs.tf").read_text()
    block = re.search(r'output "copier_data".*?^  \}', text, re.S | re.M)
    assert block
    names = set(re.findall(r"\b([a-z_]+) += ", block[0]))
    assert names - {"description", "value"} == answers.keys()
    assert answers.keys() <= questions.keys()
    texts = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    arguments = {"aws_kms_key": (texts["image_consumers"], texts["aws_copy_regions"])}
    macros = rules()
    reasons = {
        name: str(getattr(macros, name)(answer, *arguments.get(name, ())))
        for name, answer in texts.items()
    }
    assert {name: reason for name, reason in reasons.items() if reason} == {}


@pytest.mark.integration
def test_copier_reads_copier_data(tmp_path: Path) -> None:
    """JSON is valid YAML: the documented command passes the answers to Copier."""
    answers = read_expected_answers()
    (tmp_path / "answers.yml").write_text(json.dumps(answers, indent=2))
    template = snapshot(tmp_path / "template")
    options = ["--trust", "--defaults", "--data-file", tmp_path / "answers.yml"]
    outcome = run_copier("copy", *options, template, tmp_path / "repository", cwd=tmp_path)
    assert outcome.code == 0, outcome.stderr
    recorded = yaml.safe_load((tmp_path / "repository" / ".copier-answers.yml").read_text())
    assert {question: recorded[question] for question in answers} == answers
