"""STAND-IN for an Ansible Galaxy server, as far as `ansible-galaxy` asks.

Collections come through version 3 of the API, roles through version 1.  What it serves are real
collections, made by `ansible-galaxy collection build`, and archives of roles as GitHub makes them.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import threading
from collections import defaultdict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from rig.host import tools

_FILES = {
    "README.md": "# A collection\n",
    "meta/runtime.yml": "requires_ansible: '>=2.15.0'\n",
}
_NONE: Mapping[str, str] = {}


class Galaxy:
    """A server of collections and roles; a context manager that ends it.

    Attributes:
        url: address of the server.
        requests: paths that were asked for, oldest first.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare one that keeps its collections in FOLDER."""
        self._folder = folder
        self._archives: dict[str, dict[str, Path]] = defaultdict(dict)
        self._dependencies: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []
        galaxy = self
        folder.mkdir(parents=True, exist_ok=True)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                """Answer one question."""
                galaxy.requests.append(self.path)
                found = galaxy.answer(self.path)
                self.send_response(200 if found else 404)
                body = found if isinstance(found, bytes) else json.dumps(found or {}).encode()
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def downloads(self) -> list[str]:
        """Return the names of the archives that were downloaded, oldest first."""
        return [each.rpartition("/")[2] for each in self.requests if "/archives/" in each]

    def publish_role(self, name: str, version: str) -> None:
        """Add a version of a role that prints it."""
        source = self._folder / f"{name}-{version}"
        task = {"name": "Say the version", "ansible.builtin.debug": {"msg": f"{name} {version}"}}
        about = {"galaxy_info": {"author": "rig", "description": "rig", "license": "MIT"}}
        for path, data in {"tasks/main.yml": [task], "meta/main.yml": about}.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(json.dumps(data))
        archive = self._folder / f"role-{name}-{version}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, f"{name}-{version}")
        self._archives[f"role {name}"][version] = archive

    def publish(self, name: str, version: str, dependencies: Mapping[str, str] = _NONE) -> None:
        """Add a version of a collection, with one role `hello` that prints it."""
        source = self._folder / f"{name}-{version}"
        self._dependencies[f"{name} {version}"] = dict(dependencies)
        namespace, _, short = name.partition(".")
        about = {"namespace": namespace, "name": short, "version": version, "readme": "README.md",
                 "authors": ["rig"], "dependencies": dict(dependencies)}  # fmt: skip
        task = {"name": "Say the version", "ansible.builtin.debug": {"msg": f"{name} {version}"}}
        role = {"roles/hello/tasks/main.yml": json.dumps([task])}
        for path, text in {**_FILES, **role, "galaxy.yml": json.dumps(about)}.items():
            file = source / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        program = str(tools.require("ansible-galaxy"))
        command = [program, "collection", "build", f"--output-path={self._folder}"]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        self._archives[name][version] = self._folder / f"{namespace}-{short}-{version}.tar.gz"

    def answer(self, path: str) -> bytes | dict[str, Any] | None:
        """Return the answer to a GET, or None."""
        address, _, query = path.partition("?")
        parts = address.strip("/").split("/")
        if parts == [""]:
            return {"available_versions": {"v1": "v1/", "v3": "v3/"}}
        if parts[0] == "archives":
            return (self._folder / parts[1]).read_bytes()
        if parts[:2] == ["v1", "roles"]:
            return self._answer_about_role(parts, query)
        if parts[:2] != ["v3", "collections"] or len(parts) < 4:
            return None
        name = ".".join(parts[2:4])
        versions = self._archives.get(name)
        if not versions:
            return None
        if len(parts) == 4:
            return {"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"}
        if len(parts) == 5:
            data = [{"version": version, "href": f"{address}{version}/"} for version in versions]
            return {"meta": {"count": len(data)}, "links": {"next": None}, "data": data}
        archive = versions[parts[5]]
        return {
            "namespace": {"name": parts[2]},
            "collection": {"name": parts[3]},
            "name": parts[3],
            "version": parts[5],
            "download_url": f"{self.url}/archives/{archive.name}",
            "artifact": {"sha256": hashlib.sha256(archive.read_bytes()).hexdigest()},
            "metadata": {"dependencies": self._dependencies[f"{name} {parts[5]}"]},
            "signatures": [],
            "href": address,
        }

    def _answer_about_role(self, parts: list[str], query: str) -> dict[str, Any]:
        """Return roles of a user and a name, or the versions of a role by its ID."""
        if len(parts) == 2:
            fields = dict(pair.split("=") for pair in query.split("&"))
            name = f"{fields['owner__username']}.{fields['name']}"
            found = [{"id": name, "name": fields["name"]}] if self._archives[f"role {name}"] else []
            return {"results": found, "count": len(found)}
        versions = self._archives[f"role {parts[2]}"]
        results = [{"name": version, "download_url": f"{self.url}/archives/{archive.name}"}
                   for version, archive in versions.items()]  # fmt: skip
        return {"results": results, "next_link": None}

    def __enter__(self) -> Galaxy:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
