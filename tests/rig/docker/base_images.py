"""Debian images for the private Docker engine, made from Debian's archive instead of a registry.

The tags are Docker Hub's, so that a plain `FROM debian:12` finds them.  What this machine needs to
reach the network (its own certificates, apt's proxy) goes into them, and therefore nowhere else.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from rig.docker.engine import DockerEngine
from rig.host.cache import cache_dir, fingerprint, locked
from rig.host.machine import HOST_ENV

Release = Literal["12", "13"]
Flavour = Literal["bare", "login", "cloud"]

_SUITES = {"12": "bookworm", "13": "trixie"}

# What each flavour has beyond Debian's minimum.  bare: nothing, as Docker Hub's images; login: what
# Packer and Ansible log in with; cloud: of what Debian's cloud images have, what a build asks for.
_LOGIN = ("ca-certificates", "openssh-server", "python3", "sudo")
_PACKAGES: Mapping[Flavour, Sequence[str]] = {
    "bare": (),
    "login": _LOGIN,
    "cloud": (*_LOGIN, "chrony", "unattended-upgrades"),
}
_SUFFIXES: Mapping[Flavour, str] = {"bare": "-bare", "login": "", "cloud": "-cloud"}

_NO_SERVICES = b"#!/bin/sh\nexit 101\n"

_DAYS_TO_KEEP = 30  # then built again, with Debian's updates
_LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
_RECIPE_LABEL = "template-packer-ami.recipe"


class BaseImageError(RuntimeError):
    """mmdebstrap failed; the message holds its output."""


def why_not() -> str | None:
    """Return why no base image can be built on this machine, or None."""
    if not shutil.which("mmdebstrap"):
        return "mmdebstrap is not installed; on Debian: apt-get install mmdebstrap"
    return None


def debian(engine: DockerEngine, release: Release, flavour: Flavour = "login") -> str:
    """Put a Debian image into an engine.

    Args:
        engine: the engine, running.
        release: Debian's release number.
        flavour: `login` has Python, sudo, sshd and the certificates; `bare` leaves them out, as
            Docker Hub's images do; `cloud` adds chrony, unattended-upgrades and apt's lists, as
            Debian's cloud images have them.

    Returns:
        The tag: `debian:12`, `debian:12-bare` or `debian:12-cloud`.

    Raises:
        BaseImageError: when the image has to be built and mmdebstrap fails.
    """
    tag = f"debian:{release}{_SUFFIXES[flavour]}"
    command = _command(release, flavour)
    recipe = fingerprint(*command, _NO_SERVICES, *_local_certificates())
    with locked(tag.replace(":", "-")):
        show = f'--format={{{{ index .Config.Labels "{_RECIPE_LABEL}" }}}}'
        label = engine.docker("image", "inspect", show, tag, check=False)
        archive = cache_dir("base-images") / f"{tag.replace(':', '-')}-{recipe}.tar"
        if not archive.exists() or _age_days(archive) > _DAYS_TO_KEEP:
            _build(command, archive)
        elif label.stdout.strip() == recipe:
            return tag
        changes = [f"LABEL {_RECIPE_LABEL}={recipe}", 'CMD ["bash"]', *_certificate_variables()]
        engine.docker("import", *(f"--change={change}" for change in changes), archive, tag)
    return tag


def _command(release: Release, flavour: Flavour) -> list[str]:
    """Return the mmdebstrap command line, up to the suite; the output is missing."""
    command = [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        *(f"--aptopt={line}" for line in _apt_settings()),
    ]
    if _PACKAGES[flavour]:
        command.append(f"--include={','.join(_PACKAGES[flavour])}")
    if flavour == "cloud":
        command.append("--skip=cleanup/apt/lists")
    if _local_certificates():
        source, target = _LOCAL_CERTIFICATES, _LOCAL_CERTIFICATES.parent
        command.append(f"--customize-hook=copy-in {source} {target}")
        # Where ca-certificates is missing, its installation collects them later.
        if "ca-certificates" in _PACKAGES[flavour]:
            command.append('--customize-hook=chroot "$1" update-ca-certificates')
    return [*command, _SUITES[release]]


def _build(command: Sequence[str], archive: Path) -> None:
    partial = archive.with_suffix(".partial.tar")
    result = subprocess.run(
        [*command, str(partial)],
        env={**HOST_ENV, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        partial.unlink(missing_ok=True)
        raise BaseImageError(f"{' '.join(command)}\n{result.stderr[-3000:]}")
    # As in Docker Hub's image: installing a package starts no service.  Added here, because
    # mmdebstrap removes the file of this name at its end.
    with tarfile.open(partial, "a") as tar:
        policy = tarfile.TarInfo("./usr/sbin/policy-rc.d")
        policy.mode, policy.size = 0o755, len(_NO_SERVICES)
        tar.addfile(policy, io.BytesIO(_NO_SERVICES))
    name = archive.name.rpartition("-")[0]
    for old in archive.parent.glob(f"{name}-????????????????.tar"):
        old.unlink()
    partial.replace(archive)


def _age_days(file: Path) -> float:
    return (time.time() - file.stat().st_mtime) / 86400


def _apt_settings() -> list[str]:
    """Return this machine's settings for reaching Debian's archive, as apt.conf lines."""
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True)
    wanted = re.compile(r"^Acquire::(Check-|Retries|ForceIPv|https?::)(?!.*Auto-?Detect)", re.I)
    return [line for line in dump.stdout.splitlines() if wanted.match(line)]


def _local_certificates() -> list[Path]:
    return sorted(_LOCAL_CERTIFICATES.rglob("*.crt")) if _LOCAL_CERTIFICATES.is_dir() else []


def _certificate_variables() -> list[str]:
    """Return what makes programs with certificates of their own read the system's bundle."""
    if not _local_certificates():
        return []
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
    return [f"ENV {name}={_BUNDLE}" for name in names]
