"""toolkit/image/fetch_plugins.py downloads what is signed, and nothing else.

The releases in release/ are of a plugin that does not exist, signed with a key made for this test;
real ones differ in their names only.  It runs in the toolkit's image, with the verifier that the
image's build has.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from rig.docker.engine import DockerEngine, DockerError
from rig.servers.web import serving

CHECKOUT = Path(__file__).parents[2]
RELEASE = Path(__file__).parent / "release"

# The script as it is, with the test's server and key for HashiCorp's.
DRIVER = """\
import sys
from pathlib import Path
sys.path.insert(0, "/script")
import fetch_plugins
url = sys.argv.pop()
fetch_plugins.PLACES = (
    (f"{url}/first/{{name}}/{{version}}", "{version}"),
    (f"{url}/second/{{name}}/{{version}}", "v{version}"),
)
fetch_plugins.KEY = Path("/release/key.asc")
fetch_plugins.main()
"""


class Files(SimpleHTTPRequestHandler):
    """Serves files without a word."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path, Path]]:
    """Serve the releases; return the URL and the folders of 1.0.0 and of 0.9.0."""
    new, old = tmp_path / "www/first/demo/1.0.0", tmp_path / "www/second/demo/0.9.0"
    for folder, mark in ((new, "demo_1"), (old, "demo_v0")):
        folder.mkdir(parents=True)
        for file in RELEASE.glob(f"packer-plugin-{mark}*"):
            shutil.copy(file, folder)
    with serving(functools.partial(Files, directory=str(tmp_path / "www"))) as address:
        yield f"http://{address}", new, old


def run_in_image(engine: DockerEngine, image: str, release: Path, shell: str) -> str:
    """Run a shell script in the image, with the scripts of the image and a release beside it."""
    return engine.docker(
        "run", "--rm", "--network=host", "--entrypoint=bash",
        f"--volume={CHECKOUT / 'toolkit/image'}:/script:ro", f"--volume={release}:/release:ro",
        image, "-euc", shell,
    ).stdout  # fmt: skip


def fetch(
    engine: DockerEngine, image: str, url: str, version: str, architecture: str = "arm64"
) -> str:
    """Run the script in the image; return the list of what it has made, with the contents."""
    shell = (
        f"echo PACKER_PLUGIN_DEMO={version} >/tmp/versions.env;"
        f" python3 - /tmp/versions.env {architecture} /tmp/plugins {url} <<'END'\n{DRIVER}\nEND\n"
        "cd /tmp/plugins && find . -type f -exec grep -H . {} +"
    )
    return run_in_image(engine, image, RELEASE, shell)


@pytest.mark.parametrize("version", ["1.0.0", "0.9.0"])
def test_a_signed_release_is_laid_out_as_packer_wants_it(
    docker_engine: DockerEngine, toolkit_image: str, server: tuple[str, Path, Path], version: str
) -> None:
    """From either place, in the names of either."""
    made = fetch(docker_engine, toolkit_image, server[0], version)
    folder = f"./github.com/hashicorp/demo/packer-plugin-demo_v{version}_x5.0_linux_arm64"
    assert f"{folder}:binary {version} arm64" in made
    assert f"{folder}_SHA256SUM:" in made
    assert "amd64" not in made


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("archive", "does not match the signed list of checksums"),
        ("sums", "the list of checksums is not signed by HashiCorp"),
        ("both", "the list of checksums is not signed by HashiCorp"),
        ("signature", "SHA256SUMS.sig does not exist"),
        ("nothing", "lists nothing for linux_riscv64"),
    ],
)
def test_what_is_not_signed_is_refused(
    docker_engine: DockerEngine,
    toolkit_image: str,
    server: tuple[str, Path, Path],
    spoil: str,
    said: str,
) -> None:
    """A changed archive, a changed list that fits it, and a list that nobody has signed."""
    url, new, old = server
    archive = new / "packer-plugin-demo_1.0.0_linux_arm64.zip"
    sums = new / "packer-plugin-demo_1.0.0_SHA256SUMS"
    if spoil in ("archive", "both"):
        archive.write_bytes((old / "packer-plugin-demo_v0.9.0_x5.0_linux_arm64.zip").read_bytes())
    if spoil in ("sums", "both"):
        text = (old / "packer-plugin-demo_v0.9.0_SHA256SUMS").read_text()
        sums.write_text(text.replace("v0.9.0_x5.0", "1.0.0"))
    if spoil == "signature":
        sums.with_name(f"{sums.name}.sig").unlink()
    architecture = "riscv64" if spoil == "nothing" else "arm64"
    with pytest.raises(DockerError, match=said):
        fetch(docker_engine, toolkit_image, url, "1.0.0", architecture)


def test_a_release_that_does_not_exist_is_named(
    docker_engine: DockerEngine, toolkit_image: str, server: tuple[str, Path, Path]
) -> None:
    """A mistyped version is no reason to take another one."""
    with pytest.raises(DockerError, match=r"the plugin demo has no release 9\.9\.9"):
        fetch(docker_engine, toolkit_image, server[0], "9.9.9")
