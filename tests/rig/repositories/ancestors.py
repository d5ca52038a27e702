"""Releases that today's template could have had: made by editing a copy of it backwards.

Each step undoes one change that a template makes in its life, and brings the migration which that
change needs.  Read the list STEPS from its end: v0.1.0 is the oldest, and with every release one
thing changes, until v1.0.0 is the template of this working tree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rig.repositories.template import git, release, snapshot

_HEADER = """\
from steps import Update, run, say
"""


@dataclass(frozen=True)
class Step:
    """What one release changed.

    Attributes:
        change: in a few words.
        before: the release before the change.
        undo: makes the release before out of the release after it, in a template repository.
        migration: the text of its migration, "" where the change needs none.
        answers: answers with which a repository of the release before is made.
    """

    change: str
    before: str
    undo: Callable[[Path], None]
    migration: str = ""
    answers: dict[str, Any] = field(default_factory=dict)


def edit(path: Path, old: str, new: str) -> None:
    """Replace one text in a file, which must be there exactly once or more."""
    text = path.read_text()
    assert old in text, f"{path} has no {old!r}: mend tests/rig/repositories/ancestors.py"
    path.write_text(text.replace(old, new))


# ------------------------------------------------------------------------ the changes, undone


def _demo_file_added_moved_and_removed(template: Path) -> None:
    files, manifest = template / "template", template / "hooks" / "demo-manifest.txt"
    entries = manifest.read_text().splitlines()
    (files / "inspec/controls/demo.rb").unlink()
    entries.remove("inspec/controls/demo.rb")
    old = files / "provisioners/shell/40-demo.sh"
    (files / "provisioners/shell/50-demo.sh").rename(old)
    old.write_text(f"{old.read_text()}# as of old\n")
    entries[entries.index("provisioners/shell/50-demo.sh")] = "provisioners/shell/40-demo.sh"
    (files / "provisioners/ansible/roles/demo/tasks/gone.yml").write_text("---\n# gone later\n")
    entries.append("provisioners/ansible/roles/demo/tasks/gone.yml")
    manifest.write_text("".join(f"{entry}\n" for entry in entries))


_DEMO = """
def v1_0_0_demo_script_is_number_50(update: Update) -> None:
    '''Old: provisioners/shell/40-demo.sh. New: 50-demo.sh.'''
    update.rename("provisioners/shell/40-demo.sh", "provisioners/shell/50-demo.sh")


run(after=[v1_0_0_demo_script_is_number_50])
"""


def _files_renamed(template: Path) -> None:
    files = template / "template"
    for name, old_name in {
        "build.pkr.hcl": "image.pkr.hcl",
        "image.auto.pkrvars.hcl.jinja": "values.auto.pkrvars.hcl.jinja",
    }.items():
        old = files / old_name
        (files / name).rename(old)
        old.write_text(f"{old.read_text()}\n# as of old\n")
    # So unlike that git sees no rename.
    (files / "inspec/README.md").unlink()
    (files / "inspec/HOWTO.md").write_text("Controls test the image.\n\nPut them here.\n")


_RENAMED = """
def v0_7_0_build_is_called_build(update: Update) -> None:
    '''Old: image.pkr.hcl. New: build.pkr.hcl.'''
    update.rename("image.pkr.hcl", "build.pkr.hcl")


def v0_7_0_values_are_the_images(update: Update) -> None:
    '''Old: values.auto.pkrvars.hcl. New: image.auto.pkrvars.hcl.'''
    update.rename("values.auto.pkrvars.hcl", "image.auto.pkrvars.hcl")


def v0_7_0_inspec_has_a_readme(update: Update) -> None:
    '''Old: inspec/HOWTO.md. New: inspec/README.md.'''
    update.rename("inspec/HOWTO.md", "inspec/README.md")


run(
    after=[
        v0_7_0_build_is_called_build,
        v0_7_0_values_are_the_images,
        v0_7_0_inspec_has_a_readme,
    ]
)
"""


def _question_removed(template: Path) -> None:
    questions = template / "copier.yml"
    edit(
        questions,
        "aws_copy_regions:\n",
        "aws_copy_region:\n"
        "  type: str\n"
        "  help: A region to copy each image to\n"
        "  default: eu-west-3\n\n"
        "aws_copy_regions:\n",
    )
    rules = template / "includes" / "rules.jinja"
    edit(
        rules,
        '"aws_copy_regions": aws_copy',
        '"aws_copy_region": aws_region, "aws_copy_regions": aws_copy',
    )
    edit(
        rules,
        '"aws_copy_regions": "codes',
        '"aws_copy_region": "a region", "aws_copy_regions": "codes',
    )


_QUESTION = """
def v0_6_0_one_question_for_all_copies(update: Update) -> None:
    '''Old: aws_copy_region, besides aws_copy_regions. New: aws_copy_regions only.'''
    answers = update.read_answers()
    one, more = answers.get("aws_copy_region", ""), answers.get("aws_copy_regions", "")
    regions = [region.strip() for region in more.split(",") if region.strip()]
    if one and one not in regions:
        update.change_answers({"aws_copy_regions": ", ".join([*regions, one])})
        say(f"aws_copy_region is replaced by aws_copy_regions, which now contains {one}")


run(before=[v0_6_0_one_question_for_all_copies])
"""


def _default_changed(template: Path) -> None:
    edit(template / "copier.yml", "default: ubuntu-24.04\n", "default: ubuntu-22.04\n")
    edit(template / "template" / "variables.pkr.hcl", 'default     = "5m"', 'default     = "9m"')


def _file_split(template: Path) -> None:
    files = template / "template"
    variables, sources = files / "variables.pkr.hcl", files / "sources.pkr.hcl"
    sources.write_text(f"{variables.read_text()}\n{sources.read_text()}")
    variables.unlink()


def _choice_removed(template: Path) -> None:
    edit(
        template / "copier.yml",
        "    Debian 13: debian-13\n",
        "    Amazon Linux: amazon-linux-1\n    Debian 13: debian-13\n",
    )
    edit(
        template / "includes" / "rules.jinja",
        '"debian-13", "debian-12"',
        '"amazon-linux-1", "debian-13", "debian-12"',
    )
    edit(
        template / "includes" / "base_images.jinja",
        '  "debian-13": {',
        '  "amazon-linux-1": {"title": "Amazon Linux", "owner": "137112412989", "name":'
        ' {"x86_64": "amzn-ami-*-x86_64-*", "arm64": "amzn-ami-*-arm64-*"}, "ssh_user":'
        ' "ec2-user", "root_device": "/dev/xvda", "local_image": "amazonlinux:1"},\n'
        '  "debian-13": {',
    )


_CHOICE = """
def v0_3_0_no_amazon_linux_1(update: Update) -> None:
    '''Old: parent_image and parent_os may be amazon-linux-1. New: they must not.'''
    for question in ("parent_image", "parent_os"):
        update.map_answer(
            question, {"amazon-linux-1": "amazon-linux-2"}, "Amazon Linux gets no updates"
        )


run(before=[v0_3_0_no_amazon_linux_1])
"""


def _validator_tightened(template: Path) -> None:
    edit(
        template / "includes" / "rules.jinja",
        "{%- elif value != value.strip() -%}\nmust have no spaces around it\n",
        "",
    )


_VALIDATOR = """
def v0_2_0_description_without_outer_spaces(update: Update) -> None:
    '''Old: image_description may start and end with spaces. New: it must not.'''
    old = update.read_answers()["image_description"]
    reason = "it must not start or end with spaces"
    update.map_answer("image_description", {old: old.strip()} if old != old.strip() else {}, reason)


run(before=[v0_2_0_description_without_outer_spaces])
"""

STEPS: Sequence[Step] = (
    Step(
        "a demo file added, moved and removed", "v0.7.0", _demo_file_added_moved_and_removed, _DEMO
    ),
    Step("files renamed", "v0.6.0", _files_renamed, _RENAMED),
    Step("a question removed", "v0.5.0", _question_removed, _QUESTION),
    Step("defaults changed", "v0.4.0", _default_changed),
    Step("a file split", "v0.3.0", _file_split),
    Step(
        "a choice removed", "v0.2.0", _choice_removed, _CHOICE, {"parent_image": "amazon-linux-1"}
    ),
    Step(
        "a validator tightened",
        "v0.1.0",
        _validator_tightened,
        _VALIDATOR,
        {"image_description": " A web server ", "parent_image": "amazon-linux-1"},
    ),
)
TODAY = "v1.0.0"


def with_ancestors(destination: Path) -> Path:
    """Make a template repository with all of STEPS as releases, and this working tree as TODAY."""
    template = snapshot(destination, tag="today")
    states = [git(template, "rev-parse", "HEAD")]
    for step in STEPS:
        step.undo(template)
        git(template, "add", "--all")
        git(template, "commit", "--quiet", "-m", f"Undo: {step.change}")
        states.append(git(template, "rev-parse", "HEAD"))
    git(template, "tag", "-d", "today")
    git(template, "checkout", "--quiet", "--orphan", "history")
    tags = [TODAY, *(step.before for step in STEPS)]
    for index in range(len(STEPS), -1, -1):
        git(template, "read-tree", "-u", "--reset", states[index])
        for step, tag in reversed(list(zip(STEPS, tags, strict=False))[index:]):
            _add_migration(template, tag, step)
        release(template, tags[index])
    git(template, "branch", "--quiet", "-D", "main")
    git(template, "branch", "--quiet", "-m", "main")
    return template


def _add_migration(template: Path, tag: str, step: Step) -> None:
    """Write a step's migration and wire it, as docs/releasing.md says."""
    if not step.migration:
        return
    path = f"hooks/migrations/{tag.replace('.', '_')}.py"
    (template / path).write_text(_HEADER + step.migration)
    with (template / "copier.yml").open("a") as file:
        if "\n_migrations:" not in (template / "copier.yml").read_text():
            file.write("\n_migrations:\n")
        file.write(wiring(tag))


def wiring(tag: str) -> str:
    """Return the entry of `_migrations` for a release; docs/releasing.md shows the same."""
    return f"""\
  - version: {tag}
    when: true
    command:
      - "{{{{ _copier_python }}}}"
      - "-B"
      - "{{{{ _copier_conf.src_path }}}}/hooks/migrations/{tag.replace(".", "_")}.py"
      - >-
        {{{{ {{'template': _copier_conf.src_path | string, 'release': _version_from,
            'answers_file': _copier_conf.answers_file | string}} | to_json }}}}
"""


def recorded(repository: Path) -> dict[str, Any]:
    """Return the answers of a repository, without what Copier notes beside them."""
    answers = yaml.safe_load((repository / ".copier-answers.yml").read_text())
    return {name: value for name, value in answers.items() if not name.startswith("_")}
