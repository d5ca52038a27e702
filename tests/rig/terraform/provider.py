"""The AWS provider, compiled with the services that the modules use."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from pathlib import Path

from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.tools import GO_ENV, MODULES, build_go_packages, require, run_program
from rig.terraform import provider_source

PROVIDER_VERSION = "6.34.0"

_MODULE = MODULES / "aws-provider"
_IMPORT_PATH = "github.com/hashicorp/terraform-provider-aws"
_LINKER_FLAGS = f"-s -w -X {_IMPORT_PATH}/version.ProviderVersion={PROVIDER_VERSION}"


def build_provider() -> Path:
    """Return the executable of the provider, compiled if it is not in the cache yet.

    Its folder has the name of the platform, such as linux_amd64.
    """
    key = fingerprint(
        _MODULE / "go.mod", _MODULE / "go.sum", Path(provider_source.__file__), _LINKER_FLAGS
    )
    folder = cache_dir("go-tools") / f"aws-provider-{key}" / _name_platform()
    program = folder / "terraform-provider-aws"
    if program.exists():
        return program
    go = require("go")
    with locked("go-tools-aws-provider"):
        if not program.exists():
            source = folder.with_name("source")
            shutil.rmtree(source, ignore_errors=True)
            # go.sum has the sums of this module: what was downloaded is compared with them.
            answer = run_program(
                [str(go), "mod", "download", "-json", _IMPORT_PATH], env=GO_ENV, cwd=_MODULE
            )
            provider_source.copy_provider_source(Path(json.loads(answer)["Dir"]), source)
            build_go_packages(source, ["."], folder, linker_flags=_LINKER_FLAGS)
            shutil.rmtree(source)
    return program


def _name_platform() -> str:
    """Return the platform as Go and Terraform name it."""
    machine = platform.machine().lower()
    return f"{sys.platform}_{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(machine, machine) }"


def main() -> None:
    """Compile the provider ahead of the tests."""
    sys.stdout.write(f"aws-provider: {build_provider()}\n")


if __name__ == "__main__":
    main()
