"""The builds that -only and -except select, and those that would make an image unrequested."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from packer_toolkit.build.arguments import Selection, matches, read_arguments
from packer_toolkit.build.host import Host
from packer_toolkit.build.output import PackerOutput, Progress
from packer_toolkit.build.request import BuildRequest, read_requested_value
from packer_toolkit.build.result import has_complete_images
from packer_toolkit.build.validation import require_request, validate_request
from packer_toolkit.build.values import InspectError, Values, inspect
from packer_toolkit.errors import SetupError
from rig.host.tools import Packer
from rig.repositories.template import render

OURS = ("amazon-ebs.x86_64", "amazon-ebs.arm64", "docker.local")


@pytest.mark.parametrize(
    ("words", "selected"),
    [
        ("", ["amazon-ebs.x86_64", "amazon-ebs.arm64"]),
        ("-except=amazon-ebs.arm64", ["amazon-ebs.x86_64"]),
        ("-except amazon-ebs.arm64", ["amazon-ebs.x86_64"]),
        ("--except=amazon-ebs.arm64", ["amazon-ebs.x86_64"]),
        ("-except=*.arm64", ["amazon-ebs.x86_64"]),
        ("-except=*.a*", ["amazon-ebs.x86_64"]),
        ("-except=docker.local", ["amazon-ebs.x86_64", "amazon-ebs.arm64"]),
        ("-except=manifest", ["amazon-ebs.x86_64", "amazon-ebs.arm64"]),
        ("-except=amazon-ebs.arm64,amazon-ebs.x86_64", []),
        ("-except=amazon-ebs.arm64 -except=amazon-ebs.x86_64", []),
        ("-except=*", []),
        ("-except=amazon-*", []),
        ("-only=docker.local", ["docker.local"]),
        ("-only=*.local", ["docker.local"]),
        ("-only=*", list(OURS)),
        ("-only=* -except=docker.*", ["amazon-ebs.x86_64", "amazon-ebs.arm64"]),
        ("-only=amazon-ebs.x86_64,docker.local", ["amazon-ebs.x86_64", "docker.local"]),
        ("-only=amazon-ebs.x86_64 -only=docker.local", ["amazon-ebs.x86_64", "docker.local"]),
        ("-only=amazon-ebs.* -except=amazon-ebs.arm64", ["amazon-ebs.x86_64"]),
        ("-only=amazon-ebs.arm64 -except=amazon-ebs.arm64", []),
        ("-only=amazon-ebs", []),
        ("-only=", []),
        ("-except=", ["amazon-ebs.x86_64", "amazon-ebs.arm64"]),
        ("-only=AMAZON-EBS.*", []),
    ],
)
def test_options_select_the_builds(words: str, selected: list[str]) -> None:
    """-except narrows the EC2 builds, and the local one is built when -only names it (field 7)."""
    assert Selection.of(read_arguments(words.split())).select(OURS) == selected


@pytest.mark.parametrize(
    ("words", "passed"),
    [
        ((), ["-only=amazon-ebs.*"]),
        (("-except=amazon-ebs.arm64",), ["-only=amazon-ebs.*", "-except=amazon-ebs.arm64"]),
        (("-except", "x", "-force"), ["-only=amazon-ebs.*", "-except=x", "-force"]),
        (("-only=docker.local",), ["-only=docker.local"]),
        (("-only=", "."), ["-only="]),
        (("-only", "", "."), ["-only="]),
    ],
)
def test_packer_gets_the_options(words: tuple[str, ...], passed: list[str]) -> None:
    """Packer gets the same selection, also where a value is empty (field 7)."""
    assert BuildRequest.read(words, {}).options == passed


PATTERNS = ["*", "null.*", "named.*", "*.[ot]*", "*.[!o]*", "null.?86", "NULL.*", r"null.\x86",
            "[^n]*", "**86", "null.one", "named.null.one", "", "n*"]  # fmt: skip
TWO_BUILDS = """\
source "null" "one" { communicator = "none" }
source "null" "two" { communicator = "none" }
build {
  name    = "named"
  sources = ["null.one", "null.two"]
}
build {
  source "null.one" { name = "x86" }
  post-processor "manifest" { name = "imp" }
}
"""


@pytest.mark.parametrize("option", ["only", "except"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_match_as_in_packer(
    packer: Packer, tmp_path: Path, option: str, pattern: str
) -> None:
    """A pattern selects what it selects for Packer (field 7)."""
    (tmp_path / "a.pkr.hcl").write_text(TWO_BUILDS)
    words = [f"-{option}={pattern}"] if option == "only" else ["-only=*", f"-{option}={pattern}"]
    values = inspect(str(packer.path), read_arguments(()), env(packer), tmp_path)
    assert values.builds == ("named.null.one", "named.null.two", "null.x86")
    assert values.post_processors["null.x86"] == ("manifest.imp",)
    done = packer.run("build", "-color=false", *words, ".", cwd=tmp_path, check=False)
    selected = Selection.of(read_arguments(words)).select(values.builds)
    built = [name for name in values.builds if f"Build '{name}' finished" in done.stdout]
    assert selected == built


def env(packer: Packer, **more: str) -> dict[str, str]:
    """Return the environment of a build."""
    path = f"{packer.path.parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **packer.env, "PATH": path, **more}


# ------------------------------------------------------------------------------------ requests


VARIABLE = 'variable "skip_create_ami" {\n  type    = bool\n  default = false\n}\n'
USE = "  skip_create_ami = var.skip_create_ami\n"
BUILD = 'build {\n  sources = ["source.amazon-ebs.image"]\n}\n'


def source(kind: str = "amazon-ebs", name: str = "image", more: str = "") -> str:
    """Return a source block."""
    return f'source "{kind}" "{name}" {{\n  ami_name = "web"\n{more}}}\n'


def validate(packer: Packer, request: BuildRequest) -> BuildRequest:
    """Validate a request with the real Packer, and return it."""
    validate_request(request, str(packer.path), Host(str, str), str)
    return request


def refusal(packer: Packer, folder: Path, *words: str, **more: str) -> str:
    """Return why a build of a folder is refused; empty when it would start."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        request = validate(packer, BuildRequest.read(words, env(packer, **more)))
        expected = "image" if request.is_image_requested else "test"
        assert request.is_local or request.build_type == expected
    except SetupError as error:
        return str(error)
    finally:
        os.chdir(before)
    return ""


def write(folder: Path, **files: str) -> Path:
    """Write files; a double underscore in a name stands for a period."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


HARMLESS = {
    "the variable": {"a__pkr__hcl": VARIABLE + source(more=USE) + BUILD},
    "through a local": {
        "a__pkr__hcl": VARIABLE
        + "locals {\n  skip = var.skip_create_ami\n}\n"
        + source(more="  skip_create_ami = local.skip\n")
        + BUILD
    },
    "interpolated": {
        "a__pkr__hcl": VARIABLE
        + source(more='  skip_create_ami = "${var.skip_create_ami}"\n')
        + BUILD
    },
    "always": {"a__pkr__hcl": source(more="  skip_create_ami = true\n") + BUILD},
    "set by the build": {
        "a__pkr__hcl": source()
        + 'build {\n  source "amazon-ebs.image" {\n    name = "x"\n'
        + "    skip_create_ami = true\n  }\n}\n"
    },
    "auto file": {
        "a__pkr__hcl": VARIABLE + source(more=USE) + BUILD,
        "image__auto__pkrvars__hcl": "skip_create_ami = false\n",
    },
    "auto file in JSON": {
        "a__pkr__hcl": VARIABLE + source(more=USE) + BUILD,
        "image__auto__pkrvars__json": '{"skip_create_ami": false}',
    },
    "sensitive": {
        "a__pkr__hcl": VARIABLE.replace("type ", "sensitive = true\n  type ")
        + source(more=USE)
        + BUILD
    },
    "JSON": {
        "a__pkr__json": '{"variable": {"skip_create_ami": {"type": "bool", "default": false}},'
        '"source": {"amazon-ebs": {"image": {"ami_name": "x",'
        '"skip_create_ami": "${var.skip_create_ami}"}}},'
        '"build": [{"sources": ["source.amazon-ebs.image"]}]}'
    },
}


@pytest.mark.parametrize("case", HARMLESS)
def test_a_test_build_starts(packer: Packer, tmp_path: Path, case: str) -> None:
    """A build that makes no image needs no request, whatever files of the team set (adopt 1)."""
    assert refusal(packer, write(tmp_path, **HARMLESS[case])) == ""


DYNAMIC = """\
build {
  dynamic "source" {
    for_each = ["x86_64", "arm64"]
    labels   = ["amazon-ebs.image"]
    content {
      name            = source.value
      skip_create_ami = source.value == "arm64"
    }
  }
}
"""
BUILD_IN_JSON = '{"build": [{"source": {"amazon-ebs.image": {"skip_create_ami": false}}}]}'
HARMFUL = {
    "not declared": ({"a__pkr__hcl": source() + BUILD}, "amazon-ebs.image"),
    "declared and not used": ({"a__pkr__hcl": VARIABLE + source() + BUILD}, "amazon-ebs.image"),
    "false in the source": (
        {"a__pkr__hcl": VARIABLE + source(more="  skip_create_ami = false\n") + BUILD},
        "is not true in a.pkr.hcl:",
    ),
    "turned around": (
        {"a__pkr__hcl": VARIABLE + source(more=USE.replace("= var", "= !var")) + BUILD},
        "amazon-ebs.image",
    ),
    "another variable": (
        {"a__pkr__hcl": VARIABLE + 'variable "image" {\n  default = true\n}\n'
             + source(more="  skip_create_ami = !var.image\n") + BUILD},
        "amazon-ebs.image",
    ),
    "undone by the build": (
        {"a__pkr__hcl": VARIABLE + source(more=USE)
             + 'build {\n  source "amazon-ebs.image" {\n    skip_create_ami = false\n  }\n}\n'},
        "amazon-ebs.image",
    ),
    "undone for one of two": (
        {"a__pkr__hcl": VARIABLE + source(more=USE) + DYNAMIC}, "amazon-ebs.x86_64",
    ),
    "undone by a build in JSON": (
        {"a__pkr__hcl": VARIABLE + source(more=USE),
             "b__pkr__json": BUILD_IN_JSON},
        "amazon-ebs.image",
    ),
    "one of two sources": (
        {"a__pkr__hcl": VARIABLE + source(more=USE) + source(name="b")
             + 'build {\n  sources = ["amazon-ebs.image", "amazon-ebs.b"]\n}\n'},
        "amazon-ebs.b",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMFUL)
def test_an_image_that_was_not_requested_is_refused(
    packer: Packer, tmp_path: Path, case: str
) -> None:
    """One line names the build and what to do; with a request the build starts (adopt 1)."""
    files, named = HARMFUL[case]
    write(tmp_path, **files)
    for words in ((), ("-debug",), ("-machine-readable",), ("-on-error=ask",), ("-force", ".")):
        line = refusal(packer, tmp_path, *words)
        assert named in line
        assert "\n" not in line
        assert "-var skip_create_ami=false" in line
    assert refusal(packer, tmp_path, "-var", "skip_create_ami=true") != ""
    assert refusal(packer, tmp_path, PKR_VAR_skip_create_ami="true") != ""
    assert refusal(packer, tmp_path, "-var", "skip_create_ami=false") == ""
    assert refusal(packer, tmp_path, "-var=skip_create_ami=false", ".") == ""
    assert refusal(packer, tmp_path, PKR_VAR_skip_create_ami="false") == ""


def test_a_selection_without_the_harmful_build_starts(packer: Packer, tmp_path: Path) -> None:
    """Only the builds that -only and -except select count (adopt 1)."""
    write(tmp_path, **HARMFUL["undone for one of two"][0])
    assert refusal(packer, tmp_path, "-only=*.arm64") == ""
    assert refusal(packer, tmp_path, "-except=*.x86_64") == ""
    assert "amazon-ebs.x86_64" in refusal(packer, tmp_path, "-only=*.x86_64")


@pytest.mark.parametrize(
    "kind",
    ["amazon-ebssurrogate", "amazon-chroot", "amazon-instance", "amazon-ebsvolume",
     "googlecompute", "azure-arm", "azure-chroot", "digitalocean", "openstack", "vsphere-iso",
     "vmware-iso", "proxmox-iso", "unheard-of"],
)  # fmt: skip
def test_other_clouds_are_refused(packer: Packer, tmp_path: Path, kind: str) -> None:
    """A source that has no test build is started on request only (adopt 1)."""
    text = VARIABLE + source(kind, more=USE) + f'build {{\n  sources = ["{kind}.image"]\n}}\n'
    write(tmp_path, a__pkr__hcl=text)
    line = refusal(packer, tmp_path, f"-only={kind}.*")
    assert f"{kind}.image would create an image that was not requested" in line
    assert refusal(packer, tmp_path, f"-only={kind}.*", "-var", "skip_create_ami=false") == ""


def test_an_import_by_a_post_processor_is_refused(packer: Packer, tmp_path: Path) -> None:
    """A local build that a post-processor imports into a cloud makes an image, too (adopt 1)."""
    text = 'source "null" "x" {\n  communicator = "none"\n}\nbuild {\n  sources = ["null.x"]\n'
    write(
        tmp_path, a__pkr__hcl=text + '  post-processor "amazon-import" {\n    name = "i"\n  }\n}\n'
    )
    assert "amazon-import" in refusal(packer, tmp_path, "-only=null.x")
    assert refusal(packer, tmp_path, "-only=null.x", "-except=i") == ""


def test_builds_with_names_are_checked(packer: Packer, tmp_path: Path) -> None:
    """A build block's name is part of what -only matches (adopt 1)."""
    write(tmp_path, a__pkr__hcl=source() + BUILD.replace("{", '{\n  name = "web"', 1))
    assert "select no build; existing builds: web.amazon-ebs.image" in refusal(packer, tmp_path)
    assert "web.amazon-ebs.image would create" in refusal(packer, tmp_path, "-only=web.*")


def test_legacy_templates_are_checked(packer: Packer, tmp_path: Path) -> None:
    """A JSON template makes an image only on request, and a null builder starts (adopt 1)."""
    builders = '{"builders": [{"type": "amazon-ebs"}, {"type": "null", "name": "n"}%s]}'
    more = ', {"type": "amazon-ebs", "name": "t", "skip_create_ami": true}'
    write(tmp_path, web__json=builders % more)
    assert "amazon-ebs would create" in refusal(packer, tmp_path, "-only=amazon-ebs", "web.json")
    assert refusal(packer, tmp_path, "-only=n", "web.json") == ""
    assert refusal(packer, tmp_path, "-only=t", "web.json") == ""
    words = ("-var", "skip_create_ami=false", "-only=amazon-ebs", "web.json")
    assert refusal(packer, tmp_path, *words) == ""


def test_one_file_is_checked_alone(packer: Packer, tmp_path: Path) -> None:
    """A file as the argument counts, not its folder (adopt 1)."""
    write(
        tmp_path,
        good__pkr__hcl=VARIABLE + source(more=USE) + BUILD,
        bad__pkr__hcl=source(name="b") + BUILD.replace("image", "b"),
    )
    assert refusal(packer, tmp_path, "good.pkr.hcl") == ""
    assert "amazon-ebs.b would create" in refusal(packer, tmp_path, "bad.pkr.hcl")
    assert "one folder or file" in refusal(packer, tmp_path, "good.pkr.hcl", "bad.pkr.hcl")
    assert "one folder or file" in refusal(packer, tmp_path, ".", "-only=docker.local")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ask.hcl", "# skip_create_ami = true\nskip_create_ami = false\n"),
        ("ask.json", '{"x": "y", "skip_create_ami": false}'),
        ("ask.pkrvars.hcl", "skip_create_ami=false"),
    ],
)
def test_a_file_of_values_on_the_command_line_is_a_request(
    packer: Packer, tmp_path: Path, name: str, text: str
) -> None:
    """-var-file asks for an image as -var does; a later -var wins (adopt 1)."""
    write(
        tmp_path,
        a__pkr__hcl=VARIABLE + 'variable "x" {\n  default = ""\n}\n' + source(more=USE) + BUILD,
    )
    (tmp_path / name).write_text(text)
    words = ("-var-file", str(tmp_path / name))
    assert read_requested_value(read_arguments(words), {}) == "false"
    assert refusal(packer, tmp_path, *words) == ""
    both = (*words, "-var", "skip_create_ami=true")
    assert (
        read_requested_value(read_arguments(both), {"PKR_VAR_skip_create_ami": "false"}) == "true"
    )


def test_what_the_caller_asks_comes_before_files_of_the_repository(
    packer: Packer, tmp_path: Path
) -> None:
    """A value in an auto file turns neither a test build nor a release around (adopt 1)."""
    for committed in ("true", "false"):
        write(
            tmp_path,
            a__pkr__hcl=VARIABLE + source(more=USE) + BUILD,
            image__auto__pkrvars__hcl=f"skip_create_ami = {committed}\n",
        )
        for asked in ("true", "false"):
            environment = env(packer, PKR_VAR_skip_create_ami=asked)
            request = validate(packer, BuildRequest.read((str(tmp_path),), environment))
            assert request.build_type == ("test" if asked == "true" else "image")
            assert request.values.text("var.skip_create_ami") == asked
            assert (f"-var=skip_create_ami={asked}" in request.options) == (asked != committed)


def test_hcl_that_cannot_be_read_is_not_built_without_a_request(
    packer: Packer, tmp_path: Path
) -> None:
    """Without `packer inspect` it is not known what a build makes (adopt 1)."""
    write(tmp_path, a__pkr__hcl="source {")
    with pytest.raises(InspectError):
        validate(packer, BuildRequest.read((str(tmp_path),), env(packer)))
    validate(packer, BuildRequest.read(("-only=docker.local", str(tmp_path)), env(packer)))


@pytest.mark.parametrize("words", [(), ("-except=amazon-ebs.arm64",), ("-only=docker.local",)])
def test_a_new_repository_builds_without_a_request(
    packer: Packer, template: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """What the template renders has test builds of both architectures (adopt 1)."""
    answers = {"image_architectures": ["x86_64", "arm64"]}
    new = render(template, tmp_path / "web", answers)
    assert refusal(packer, new, *words) == ""
    assert matches(["amazon-ebs.*"], "amazon-ebs.arm64")


# ---------------------------------------------------------------------------- several images


@pytest.mark.parametrize("words", [("-only=*",), ("-only=*.x86_64,*.arm64,docker.local",)])
@pytest.mark.parametrize("is_finished", [True, False])
def test_an_image_of_an_earlier_run_is_not_missing(
    words: tuple[str, ...], is_finished: bool
) -> None:
    """The new images are complete though Packer did not build the finished ones (field 7)."""
    request = BuildRequest.read(words, {})
    kinds = {name: name.partition(".")[0] for name in OURS}
    request.values = Values(builds=OURS, kinds=kinds)
    finished = ["x86_64"] if is_finished else []
    output = PackerOutput()
    output.builds["amazon-ebs.arm64"] = Progress("amazon-ebs.arm64", ok=True)
    output.builds["docker.local"] = Progress("docker.local")
    assert has_complete_images(request, output, finished) == is_finished
    output.builds["amazon-ebs.arm64"].ok = False
    assert not has_complete_images(request, output, finished)


TAGGED = """\
variable "region" {
  default = "eu-west-1"
}
locals {
  run_tags = { ManagedBy = "packer", Repository = "packer-ami-web" }
}
"""


@pytest.mark.parametrize(
    ("post_processor", "words", "named"),
    [
        ('post-processor "manifest" {}', ("-except=manifest",), "-except=manifest: it excludes"),
        ('post-processor "manifest" {}', ("-except=x,m*",), "-except=x,m*: it excludes"),
        ('post-processor "manifest" {\n    name = "m"\n  }', ("-except=m",), "manifest.m,"),
        ('post-processor "shell-local" {\n    inline = ["true"]\n  }', (), "no post-processor"),
        ("", (), "amazon-ebs.image: its image cannot be verified"),
        ('post-processor "manifest" {}', ("-except=x",), ""),
        ('post-processor "manifest" {\n    name = "m"\n  }', ("-except=manifest",), ""),
    ],
)
def test_an_image_that_cannot_be_verified_is_not_built(
    packer: Packer, tmp_path: Path, post_processor: str, words: tuple[str, ...], named: str
) -> None:
    """Without manifest.json nothing starts, so that no finished image is deleted (field 7)."""
    build = BUILD.replace("]\n}", f"]\n  {post_processor}\n}}")
    write(tmp_path, a__pkr__hcl=TAGGED + VARIABLE + source(more=USE) + build)
    line = refusal(packer, tmp_path, "-var", "skip_create_ami=false", *words)
    assert (named in line) if named else not line
    assert "\n" not in line
    assert refusal(packer, tmp_path, *words) == ""


def test_a_name_with_a_period_is_judged_by_its_own_source(packer: Packer, tmp_path: Path) -> None:
    """The whole name of a build counts, and not only what follows its last period (adopt 1)."""
    build = 'build {\n  source "amazon-ebs.image" {\n    name = "%s"\n  }\n}\n'
    write(tmp_path, a__pkr__hcl=VARIABLE + source(more=USE) + build % "ubuntu-22.04")
    assert refusal(packer, tmp_path) == ""
    write(
        tmp_path,
        a__pkr__hcl=VARIABLE + source() + source(name="prod", more=USE) + build % "web.prod",
        b__pkr__hcl='build {\n  sources = ["amazon-ebs.prod"]\n}\n',
    )
    assert "amazon-ebs.web.prod would create" in refusal(packer, tmp_path)
    assert refusal(packer, tmp_path, "-only=amazon-ebs.prod") == ""


@pytest.mark.parametrize("option", ["only", "except"])
@pytest.mark.parametrize("pattern", ["[z-a]", "amazon-ebs.[b-a]*", "x,[!9-0]"])
def test_a_pattern_that_is_not_valid_is_one_line(option: str, pattern: str) -> None:
    """A range that ends before it begins is an error before anything starts (field 7)."""
    with pytest.raises(SetupError, match=r"it is not a valid pattern \(bad character") as refused:
        BuildRequest.read((f"-{option}={pattern}",), {})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("v.pkrvars.hcl", "# skip_create_ami = false\n"),
        ("v.pkrvars.hcl", "// skip_create_ami = false\n"),
        ("v.pkrvars.hcl", "/*\nskip_create_ami = false\n*/\n"),
        ("v.pkrvars.hcl", "tags = {\n  skip_create_ami = false\n}\n"),
        ("v.pkrvars.hcl", 'x = "{skip_create_ami = false"\n'),
        ("v.pkrvars.hcl", "x = <<EOF\nskip_create_ami = false\nEOF\n"),
        ("v.pkrvars.json", '{"tags": {"skip_create_ami": false}}'),
        ("v.pkrvars.json", '{"x": "{skip_create_ami: false"}'),
        ("v.pkrvars.json", "[]"),
        ("v.pkrvars.json", "1"),
        ("v.pkrvars.json", ""),
        ("v.pkrvars.hcl", "skip_create_ami = \n"),
        ("v.pkrvars.hcl", "skip_create_ami = null\n"),
        ("v.pkrvars.hcl", "skip_create_ami = nothing.false\n"),
    ],
)
def test_a_file_that_does_not_set_the_variable_requests_nothing(
    tmp_path: Path, name: str, text: str
) -> None:
    """Comments, texts and other variables of a file of values request no image (adopt 1)."""
    (tmp_path / name).write_text(text)
    words = ("-var-file", str(tmp_path / name))
    assert read_requested_value(read_arguments(words), {}) not in ("true", "false")
    assert read_requested_value(read_arguments((*words, "-var-file=missing")), {}) != "false"


IMPORTS = {
    "by name": ('["amazon-import"]', True),
    "with settings": ('[{"type": "amazon-import", "s3_bucket_name": "x"}]', True),
    "in a sequence": ('[["compress", {"type": "amazon-import", "name": "i"}]]', True),
    "of another cloud": ('[{"type": "googlecompute-import"}]', True),
    "only of this build": ('[{"type": "amazon-import", "only": ["qemu"]}]', True),
    "except of another build": ('[{"type": "amazon-import", "except": ["n"]}]', True),
    "that cannot be read": ("[{}]", True),
    "of another build": ('[{"type": "amazon-import", "only": ["n"]}]', False),
    "not of this build": ('[{"type": "amazon-import", "except": ["qemu"]}]', False),
    "not at all": ('["manifest", ["compress", {"type": "checksum"}]]', False),
    "without any": ("[]", False),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_an_import_by_a_legacy_template_is_refused(tmp_path: Path, case: str) -> None:
    """A post-processor of a JSON template that imports a local build makes an image (adopt 1)."""
    text, is_refused = IMPORTS[case]
    write(tmp_path, web__json=f'{{"builders": [{{"type": "qemu"}}], "post-processors": {text}}}')
    values = Values(builds=("qemu", "n"), kinds={"qemu": "qemu", "n": "null"})
    for words, refused in (("-only=qemu", is_refused), ("-only=qemu -except=*", False)):
        selection = Selection.of(read_arguments(words.split()))
        if refused:
            with pytest.raises(SetupError, match="qemu would create an image"):
                require_request(values, selection, tmp_path / "web.json")
        else:
            require_request(values, selection, tmp_path / "web.json")
    if case == "in a sequence":
        selection = Selection.of(read_arguments(("-only=qemu", "-except=i")))
        require_request(values, selection, tmp_path / "web.json")
