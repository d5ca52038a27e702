"""The packer-toolkit image, built from toolkit/Dockerfile as it is, with what this machine has.

No registry is within reach: the base is Debian from `base_images`, and the images that programs are
copied from are made here, of the programs that the tests use themselves.  What each of them stands
for is said in tests/rig/README.md.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rig import CHECKOUT, STANDINS
from rig.docker import base_images
from rig.docker.engine import DockerEngine, DockerError, host_env
from rig.host import tools
from rig.host.cache import fingerprint, locked
from rig.host.machine import HOST_ENV

_LABEL = "template-packer-ami.toolkit"
_CINC = "/opt/cinc-auditor"
_RUBY = f"{_CINC}/embedded/bin/ruby"


def versions() -> dict[str, str]:
    """Return what toolkit/versions.env says."""
    lines = (CHECKOUT / "toolkit" / "versions.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def build_context() -> dict[str, bytes]:
    """Return what the Dockerfile copies: path below the checkout -> contents."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard",
         "pyproject.toml", "uv.lock", "toolkit"],
        cwd=CHECKOUT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    files = [CHECKOUT / name for name in sorted(listing.split("\0")) if name]
    return {str(file.relative_to(CHECKOUT)): file.read_bytes() for file in files if file.is_file()}


def toolkit_image(engine: DockerEngine) -> str:
    """Put the toolkit's image into an engine.

    Args:
        engine: the engine, running.

    Returns:
        The tag, `packer-toolkit:FINGERPRINT`; the fingerprint is of everything that goes into it.

    Raises:
        DockerError: when the build fails; the message holds its output.
    """
    with locked("toolkit-image"), tempfile.TemporaryDirectory(prefix="toolkit-image-") as scratch:
        arguments = build_arguments(engine, Path(scratch))
        context = build_context()
        parts = [part for name, data in context.items() for part in (name, data)]
        base = arguments["BASE_IMAGE"]
        base_id = engine.docker("image", "inspect", "--format={{.Id}}", base).stdout
        key = fingerprint(base_id, repr(sorted(arguments.items())), *parts)
        tag = f"packer-toolkit:{key}"
        if engine.docker("image", "inspect", tag, check=False).returncode == 0:
            return tag
        build(engine, write_context(Path(scratch) / "context"), tag, arguments)
        _forget_older(engine, tag)
    return tag


def build_arguments(engine: DockerEngine, scratch: Path, without_gem: str = "") -> dict[str, str]:
    """Return the build arguments, with images that are made here.

    Args:
        engine: the engine, running.
        scratch: a folder for the builds.
        without_gem: a gem that the Ruby of the auditor lacks.
    """
    return {
        **versions(),
        "BASE_IMAGE": base_images.debian(engine, "13", "bare"),  # as empty as BASE_IMAGE
        "PACKER_IMAGE": _packer(engine, scratch),
        "PLUGINS_IMAGE": _plugins(engine, scratch),
        "SESSION_MANAGER_IMAGE": _session_manager(engine, scratch),
        "CINC_IMAGE": _cinc(engine, scratch, without_gem),
        "UV_IMAGE": _uv(engine, scratch),
        "SOURCE": "tests",
    }


def write_context(folder: Path) -> Path:
    """Write the build context into a folder; return the folder."""
    for name, data in build_context().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def build(engine: DockerEngine, folder: Path, tag: str, arguments: Mapping[str, str]) -> None:
    """Build toolkit/Dockerfile of a build context with BuildKit.

    Args:
        engine: the engine, running.
        folder: the build context.
        tag: what the image is called.
        arguments: build arguments by name.

    Raises:
        DockerError: when the build fails; the message holds its output.
    """
    _docker_build(
        engine,
        "--file=toolkit/Dockerfile",
        *(f"--build-arg={name}={value}" for name, value in arguments.items()),
        f"--label={_LABEL}=image",
        f"--tag={tag}",
        ".",
        folder=folder,
    )


def _docker_build(engine: DockerEngine, *args: str, folder: Path) -> None:
    """Run `docker build`, with a client that has BuildKit without a plugin."""
    result = subprocess.run(
        [_buildkit_client(), "build", "--network=host", *args],
        cwd=folder,
        env={**host_env(), **engine.env, "DOCKER_BUILDKIT": "1", "BUILDKIT_PROGRESS": "plain"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if result.returncode:
        raise DockerError(f"docker build {args[-2]}\n{result.stdout}{result.stderr[-6000:]}")


def _buildkit_client() -> Path:  # noqa: RET503 - tools.missing does not return
    """Return a docker client that talks to the engine's own BuildKit: one with buildx, or Debian's.

    Later clients leave BuildKit to the plugin buildx, which Debian 12 does not have.
    """
    for folder in [*HOST_ENV.get("PATH", os.defpath).split(os.pathsep), "/usr/bin"]:
        client = Path(folder) / "docker"
        if not os.access(client, os.X_OK):
            continue
        asked = subprocess.run(
            [client, "build", "--help"],
            env={**HOST_ENV, "DOCKER_BUILDKIT": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if "--progress" in asked.stdout:
            return client
    tools.missing("no docker client with BuildKit; on Debian: apt-get install docker.io")


def _scratch_image(
    engine: DockerEngine, scratch: Path, name: str, files: Mapping[str, Path]
) -> str:
    """Make an image that has nothing but files; return its tag.

    Args:
        engine: the engine, running.
        scratch: a folder for the build.
        name: what it stands for.
        files: absolute path in the image -> file or folder here.
    """
    contents: list[str | Path] = [name]
    for target, source in sorted(files.items()):
        contents.append(target)
        for file in sorted(source.rglob("*")) if source.is_dir() else [source]:
            if file.is_file():
                contents += [str(file.relative_to(source)), file]
    tag = f"toolkit-part-{name}:{fingerprint(*contents)}"
    if engine.docker("image", "inspect", tag, check=False).returncode:
        folder = scratch / name
        for target, source in files.items():
            place = folder / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copy2(source, place)
        _tar_into(engine, folder, tag)
        shutil.rmtree(folder)
    return tag


def _tar_into(engine: DockerEngine, folder: Path, tag: str) -> None:
    archive = folder.with_suffix(".tar")
    subprocess.run(
        ["tar", "--create", "--owner=0", "--group=0", f"--file={archive}", "."],
        cwd=folder, check=True,
    )  # fmt: skip
    engine.docker("import", f"--change=LABEL {_LABEL}=part", archive, tag)
    archive.unlink()


def _packer(engine: DockerEngine, scratch: Path) -> str:
    return _scratch_image(engine, scratch, "packer", {"/bin/packer": tools.packer().path})


def _plugins(engine: DockerEngine, scratch: Path) -> str:
    plugins = Path(tools.packer().env["PACKER_PLUGIN_PATH"])
    return _scratch_image(engine, scratch, "plugins", {"/plugins": plugins})


def _session_manager(engine: DockerEngine, scratch: Path) -> str:
    # It calls itself the pinned version, as the stand-in of Cinc Auditor does.
    version = scratch / "SESSION_MANAGER_VERSION"
    version.write_text(versions()["SESSION_MANAGER_PLUGIN"] + "\n")
    files = {
        "/session-manager/session-manager-plugin": STANDINS
        / "session-manager/session-manager-plugin",
        "/session-manager/VERSION": version,
    }
    return _scratch_image(engine, scratch, "session-manager-standin", files)


def _cinc(engine: DockerEngine, scratch: Path, without_gem: str) -> str:
    # It calls itself the pinned version, so that the image's contents are what versions.env says.
    version = scratch / "VERSION"
    version.write_text(versions()["CINC_IMAGE"].partition(":")[2].partition("@")[0] + "\n")
    wrapper = _script(
        scratch / "cinc-auditor", f'exec {_RUBY} {_CINC}/standin/bin/cinc-auditor "$@"'
    )
    files = {
        "bin/cinc-auditor": wrapper,
        "standin/bin/cinc-auditor": STANDINS / "bin/cinc-auditor",
        "standin/auditor": STANDINS / "auditor",
        "standin/VERSION": version,
        # The real one has these gems below its Ruby.
        **_embedded_ruby(scratch / "ruby", without_gem),
    }
    return _scratch_image(
        engine, scratch, "cinc-standin", {f"{_CINC}/{name}": file for name, file in files.items()}
    )


def _embedded_ruby(folder: Path, without_gem: str) -> dict[str, Path]:
    """Return the files of this machine's Ruby, which the stand-in needs as the real one its own.

    The image has another Debian: Ruby's libraries come along, the C library is the image's.
    Gems that the real one needs to connect are empty files, except the one to leave out.
    """
    ruby = tools.require("ruby").resolve()
    ask = "puts RbConfig::CONFIG.values_at('rubylibdir', 'rubyarchdir')"
    pure, compiled = (Path(line) for line in _output(ruby, "-rrbconfig", "-e", ask).splitlines())
    unused = shutil.ignore_patterns(
        "bundler", "irb", "rdoc", "reline", "ripper*", "openssl*", "*.gem"
    )
    shutil.copytree(pure, folder / "pure", ignore=unused)
    for gem in (STANDINS / "auditor/gems").iterdir():
        if gem.stem != without_gem:
            shutil.copy2(gem, folder / "pure")
    shutil.copytree(compiled, folder / "compiled", ignore=unused)
    libraries = folder / "lib"
    libraries.mkdir()
    for program in (ruby, *(folder / "compiled").rglob("psych.so")):
        for library in re.findall(r"=> (\S+) ", _output("ldd", program)):
            if not re.match(r"(?:libc|libm|libdl|librt|libpthread)\.so", Path(library).name):
                shutil.copy2(library, libraries)
    # By the loader, because LD_LIBRARY_PATH would reach ssh too.
    start = _script(
        folder / "start",
        f"export RUBYLIB={_CINC}/embedded/pure:{_CINC}/embedded/compiled",
        f'exec /lib*/ld-linux-*.so.* --library-path {_CINC}/embedded/lib {_RUBY}.program "$@"',
    )
    return {
        "embedded/bin/ruby": start,
        "embedded/bin/ruby.program": ruby,
        "embedded/lib": libraries,
        "embedded/pure": folder / "pure",
        "embedded/compiled": folder / "compiled",
    }


def _script(file: Path, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(("#!/bin/sh", *lines, "")))
    file.chmod(0o755)
    return file


def _output(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _uv(engine: DockerEngine, scratch: Path) -> str:
    return _scratch_image(engine, scratch, "uv", {"/uv": tools.require("uv")})


def _forget_older(engine: DockerEngine, tag: str) -> None:
    """Remove earlier builds that no container uses: each of them is half a gigabyte."""
    shown = engine.docker(
        "images", f"--filter=label={_LABEL}=image", "--format={{.Repository}}:{{.Tag}}"
    )
    for other in set(shown.stdout.split()) - {tag}:
        if other.startswith("packer-toolkit:"):
            engine.docker("rmi", other, check=False)
    # Layers of the newest few builds, and the wheels that uv has downloaded.
    engine.docker("builder", "prune", "--force", "--keep-storage=3GB", check=False)


def main() -> None:
    """Build the image with a Docker engine of its own: `python -m rig.docker.toolkit_image`."""
    with DockerEngine() as engine:
        tag = toolkit_image(engine)
        size = engine.docker("image", "inspect", "--format={{.Size}}", tag).stdout
        sys.stdout.write(f"{tag}: {int(size) / 1e6:.0f} MB\n")


if __name__ == "__main__":
    main()
