"""The tools that tests run: found on PATH, or built in the versions that go.mod and uv.lock pin.

`python -m rig.host.tools packer actionlint` builds ahead of the tests; they wait for it where
needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from rig import CHECKOUT
from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.machine import HOST_ENV, in_ci

MODULES = Path(__file__).parent / "tools"

_HOW_TO_GET = {
    "rubocop": "apt-get install rubocop",
    "ruby": "apt-get install ruby",
    "ssh": "apt-get install openssh-client",
    "sshd": "apt-get install openssh-server",
    "node": "https://nodejs.org/, version 20 or later",
    "go": "https://go.dev/doc/install, version 1.26 or later",
    "docker": "apt-get install docker.io",
    "docker-registry": "apt-get install docker-registry",
    "mmdebstrap": "apt-get install mmdebstrap",
    "podman": "apt-get install podman",
    "cinc-auditor": "https://cinc.sh/start/auditor/",
}

_STRIP = "-s -w"
# As upstream's own release does.  Its source says "1.1.2-dev", and `packer init` overlooks those.
_LINKER_FLAGS = f"{_STRIP} -X github.com/hashicorp/packer-plugin-docker/version.VersionPrerelease="
_TOFU = "github.com/opentofu/opentofu"
_TERRAFORM = "github.com/hashicorp/terraform"


@dataclass(frozen=True)
class _GoTool:
    """A program that is compiled with Go.

    Attributes:
        module: The folder of its go.mod below tests/rig/host/tools.
        package: Its import path.
        tags: Go build tags.
        linker_flags: Flags of Go's linker.
    """

    module: str
    package: str
    tags: str = ""
    linker_flags: str = _LINKER_FLAGS


_GO_TOOLS = {
    "actionlint": _GoTool("actions", "github.com/rhysd/actionlint/cmd/actionlint"),
    # Without Docker it is smaller by half, and act runs jobs on this machine here anyway.
    "act": _GoTool("actions", "github.com/nektos/act", "WITHOUT_DOCKER"),
    # Both call themselves "-dev" unless they are linked like a release.
    "terraform": _GoTool(
        "terraform", _TERRAFORM, linker_flags=f"{_STRIP} -X {_TERRAFORM}/version.dev=no"
    ),
    "tofu": _GoTool(
        "opentofu", f"{_TOFU}/cmd/tofu", linker_flags=f"{_STRIP} -X {_TOFU}/version.dev=no"
    ),
    **{
        name: _GoTool("opentofu", package, linker_flags=_STRIP)
        for name, package in {
            "terraform-docs": "github.com/terraform-docs/terraform-docs",
            "tflint": "github.com/terraform-linters/tflint",
            "tflint-ruleset-aws": "github.com/terraform-linters/tflint-ruleset-aws",
        }.items()
    },
}

_PLUGINS = ("amazon", "ansible", "docker")

# Without C the binaries are static, as the released ones: they run in any container.
GO_ENV: Mapping[str, str] = {**HOST_ENV, "CGO_ENABLED": "0", "GOFLAGS": "", "GOWORK": "off"}


class ToolError(RuntimeError):
    """A tool's build failed; the message holds its output."""


@dataclass(frozen=True)
class Packer:
    """Packer as the tests run it.

    Attributes:
        path: the executable.
        env: what it needs in its environment, beside the rest.
    """

    path: Path
    env: Mapping[str, str]

    def evaluate(self, folder: Path, expression: str, *options: str) -> str:
        """Return the value of an expression of a folder's HCL, by `packer console`.

        Args:
            folder: the folder.
            expression: such as local.git_commit.
            options: of `packer console`, such as -var and its value.

        Raises:
            subprocess.CalledProcessError: when Packer cannot read the HCL.
        """
        return subprocess.run(
            [self.path, "console", *options, "."],
            cwd=folder,
            env={**self.env},
            input=f"{expression}\n",
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def run(
        self,
        *args: str | Path,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        check: bool = True,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Run Packer in CWD, with ENV beside the present environment; return its output.

        Raises:
            ToolError: when it failed and CHECK is set.
        """
        result = subprocess.run(
            [self.path, *args],
            cwd=cwd,
            env={**os.environ, **self.env, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and result.returncode:
            shown = " ".join(map(str, args))
            raise ToolError(f"packer {shown}: {result.returncode}\n{result.stdout}{result.stderr}")
        return result


def missing(reason: str) -> NoReturn:
    """Skip the test, with the reason; in CI, where every tool has to be there, fail."""
    if in_ci():
        pytest.fail(f"CI must have it: {reason}", pytrace=False)
    pytest.skip(reason)


def require(name: str) -> Path:
    """Return the executable NAME: from this environment, built, or from PATH.

    Without it, the calling test is skipped, or failed in CI.
    """
    if name in _GO_TOOLS:
        return _go_tool(name)
    if name == "checkov":
        return checkov()
    # The environment's own first: the versions of uv.lock, not those of the machine.
    here = str(Path(sys.executable).parent)
    path = os.pathsep.join([here, HOST_ENV.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        how = _HOW_TO_GET.get(name)
        missing(f"{name} is not installed" + (f"; get it with: {how}" if how else ""))
    return Path(found)


def packer() -> Packer:
    """Return Packer with its plugins, built when they are not in the cache yet.

    Never a Packer from PATH: what passes here has passed with the versions in go.mod.
    """
    binaries = _go_build("packer", ["tool"], "", _LINKER_FLAGS)
    home = cache_dir(str(binaries.parent.relative_to(cache_dir())), "home")
    env = {
        "CHECKPOINT_DISABLE": "1",  # no call home to ask for newer versions
        "PACKER_CONFIG_DIR": str(home),
        "PACKER_NO_COLOR": "1",
        "PACKER_PLUGIN_PATH": str(binaries.parent / "plugins"),
    }
    with locked("packer-plugins"):
        for name in _PLUGINS:
            if not list((binaries.parent / "plugins").rglob(f"packer-plugin-{name}_*_SHA256SUM")):
                run_program(
                    [
                        str(binaries / "packer"),
                        "plugins",
                        "install",
                        f"--path={binaries}/packer-plugin-{name}",
                        f"github.com/hashicorp/{name}",
                    ],
                    env={**HOST_ENV, **env},
                )
    return Packer(binaries / "packer", env)


def packer_env() -> dict[str, str]:
    """Return what Packer needs in its environment: plugins, configuration, no call home."""
    return dict(packer().env)


def checkov() -> Path:
    """Return Checkov, from an environment of its own that uv makes of uv.lock in the cache.

    Its exact pins are years behind what moto needs, see pyproject.toml.
    """
    uv = require("uv")
    lock = CHECKOUT / "uv.lock"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    directory = cache_dir("checkov") / fingerprint(lock, version)
    program = directory / "bin" / "checkov"
    with locked("checkov"):
        if not (directory / "complete").exists():
            run_program(
                [str(uv), "sync", "--frozen", "--only-group=checkov", f"--python={version}"],
                cwd=CHECKOUT,
                env={**HOST_ENV, "UV_PROJECT_ENVIRONMENT": str(directory)},
            )
            (directory / "complete").touch()
    return program


def _go_tool(name: str) -> Path:
    tool = _GO_TOOLS[name]
    return _go_build(tool.module, [tool.package], tool.tags, tool.linker_flags, name=name) / name


def _go_build(
    module: str, packages: Sequence[str], tags: str, linker_flags: str, *, name: str = ""
) -> Path:
    """Build packages of a tools module into the cache; return the directory of the binaries.

    Args:
        module: the directory of its go.mod and go.sum below tests/rig/host/tools.
        packages: import paths, or `tool` for all that go.mod calls tools.
        tags: Go build tags.
        linker_flags: flags of Go's linker.
        name: the binary, when it is one of several in the module.
    """
    source = MODULES / module
    stubs = sorted(source.rglob("stubs/**/*.*"))
    key = fingerprint(source / "go.mod", source / "go.sum", tags, linker_flags, *stubs)
    label = f"{module}-{name}" if name else module
    target = cache_dir("go-tools") / f"{label}-{key}" / "bin"
    if not target.exists():
        require("go")
        with locked(f"go-tools-{label}"):
            if not target.exists():
                build_go_packages(source, packages, target, tags=tags, linker_flags=linker_flags)
    return target


def build_go_packages(
    source: Path, packages: Sequence[str], target: Path, *, tags: str = "", linker_flags: str
) -> None:
    """Build packages of a Go module.

    Args:
        source: the directory of its go.mod, and of its go.sum with all sums.
        packages: import paths, or `tool` for all that go.mod calls tools.
        target: the directory for the binaries, which appears when all of them are complete.
        tags: Go build tags.
        linker_flags: flags of Go's linker.

    Raises:
        ToolError: when the build failed.
    """
    partial = target.with_name("partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run_program(
        [
            str(require("go")),
            "build",
            "-mod=readonly",  # go.sum is complete; nothing is resolved here
            "-trimpath",
            "-buildvcs=false",
            f"-ldflags={linker_flags}",
            f"-tags={tags}",
            f"-o={partial}/",
            *packages,
        ],
        cwd=source,
        env=GO_ENV,
    )
    partial.replace(target)


def run_program(command: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a program and return its standard output.

    Raises:
        ToolError: when it failed.
    """
    result = subprocess.run(
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise ToolError(f"{' '.join(command)}\n{result.stdout[-2000:]}{result.stderr[-4000:]}")
    return result.stdout


def main() -> None:
    """Build the tools that the command line names."""
    for name in sys.argv[1:]:
        program = packer().path if name == "packer" else require(name)
        sys.stdout.write(f"{name}: {program}\n")


if __name__ == "__main__":
    main()
