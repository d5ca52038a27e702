"""toolkit/image/fetch_session_manager.py installs a program that AWS has signed, and nothing else.

The packages in release/session-manager hold no program of AWS, and are signed with a key made for
this test.  The script runs in the toolkit's image, with the verifier that the image's build has.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_fetch_plugins import Files, run_in_image

from rig.docker.engine import DockerEngine, DockerError
from rig.host import tools
from rig.servers.web import serving

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
RELEASE = Path(__file__).parent / "release/session-manager"

# The script as it is, with the test's server and key for AWS's.
DRIVER = """\
import sys
from pathlib import Path
sys.path.insert(0, "/script")
import fetch_session_manager
url = sys.argv.pop()
fetch_session_manager.PLACE = f"{url}/{{version}}/{{folder}}"
fetch_session_manager.KEY = Path("/release/key.asc")
fetch_session_manager.main()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve the packages of version 1.2.3.0; return the URL and the folder."""
    folder = tmp_path / "www/1.2.3.0"
    shutil.copytree(RELEASE, folder)
    with serving(functools.partial(Files, directory=str(tmp_path / "www"))) as address:
        yield f"http://{address}", folder


def fetch(
    engine: DockerEngine, image: str, url: str, architecture: str, version: str = "1.2.3.0"
) -> str:
    """Run the script in the image; return what it has installed."""
    shell = (
        f"echo SESSION_MANAGER_PLUGIN={version} >/tmp/versions.env;"
        f" python3 -B - /tmp/versions.env {architecture} /tmp/out {url} <<'END'\n{DRIVER}\nEND\n"
        "cd /tmp/out && find . -type f -perm 755 -exec grep -H . {} +"
    )
    return run_in_image(engine, image, RELEASE, shell)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_signed_package_is_installed(
    docker_engine: DockerEngine, toolkit_image: str, server: tuple[str, Path], architecture: str
) -> None:
    """The program of the architecture is installed, and nothing else of the package.

    (review R2)
    """
    made = fetch(docker_engine, toolkit_image, server[0], architecture)
    assert made.splitlines() == [
        "session-manager-plugin 1.2.3.0: verified",
        f"./session-manager-plugin:program 1.2.3.0 {architecture}",
    ]


@pytest.mark.parametrize(
    ("spoil", "reported"),
    [
        ("package", "is not signed by AWS"),
        ("other architecture", "is not signed by AWS"),
        ("signature", "session-manager-plugin.deb.sig does not exist"),
        ("version", "session-manager-plugin.deb does not exist"),
        ("riscv64", "has no package for riscv64"),
    ],
)
def test_what_aws_has_not_signed_is_refused(
    docker_engine: DockerEngine,
    toolkit_image: str,
    server: tuple[str, Path],
    spoil: str,
    reported: str,
) -> None:
    """A changed package, one of another architecture, and one without a signature end the build.

    (review R2)
    """
    url, folder = server
    package = folder / "ubuntu_64bit/session-manager-plugin.deb"
    if spoil == "package":
        package.write_bytes(package.read_bytes() + b"x")
    if spoil == "other architecture":
        shutil.copy(folder / "ubuntu_arm64/session-manager-plugin.deb", package)
    if spoil == "signature":
        package.with_name(f"{package.name}.sig").unlink()
    architecture = "riscv64" if spoil == "riscv64" else "amd64"
    version = "9.9.9.9" if spoil == "version" else "1.2.3.0"
    with pytest.raises(DockerError, match=reported):
        fetch(docker_engine, toolkit_image, url, architecture, version)


def test_the_key_is_that_of_aws() -> None:
    """The key has the fingerprint that the user guide of Systems Manager names.  (review R2)."""
    shown = subprocess.run(
        [tools.require("gpg"), "--show-keys", "--with-colons",
         CHECKOUT / "toolkit/image/session-manager.asc"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    (fingerprint,) = (line for line in shown.splitlines() if line.startswith("fpr:"))
    assert "7959637124CE093AD501D47A2C4D4AFF6F6757EE" in fingerprint


def test_the_image_has_the_program(docker_engine: DockerEngine, toolkit_image: str) -> None:
    """Packer finds the program in the image, in the version of versions.env.  (review R2)."""
    script = "command -v session-manager-plugin && session-manager-plugin --version"
    shown = docker_engine.docker("run", "--rm", toolkit_image, "bash", "-euc", script).stdout
    pinned = (CHECKOUT / "toolkit/versions.env").read_text()
    path, version = shown.split()
    assert path == "/usr/local/bin/session-manager-plugin"
    assert f"SESSION_MANAGER_PLUGIN={version}\n" in pinned
