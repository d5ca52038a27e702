"""The rig's process: moto's server behind a front that records, breaks and checks keys.

`python -m rig.aws.server CONFIG` is started by `rig.aws.Ec2`.  It prints one JSON line when it is
ready, and ends, with all containers, on SIGTERM and as soon as its standard input closes: that is
what is left of a parent that was killed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from werkzeug.test import run_wsgi_app

from rig.aws import session_manager
from rig.aws.faults import error_answer, kind_answer
from rig.aws.parents import moto_amis

# moto reads its settings when it is imported, hence the imports in functions below.


class Front:
    """WSGI application between the clients and moto."""

    def __init__(self, control: Any, moto: Any, calls_file: Path) -> None:
        self.control = control
        self.moto = moto
        self.calls: list[dict[str, Any]] = []
        self.calls_file = calls_file.open("a", buffering=1)
        self.lock = threading.Lock()
        self.round_trip = 0.0  # seconds

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Serve one request."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        path = environ.get("PATH_INFO", "")
        if path.startswith("/_rig/"):
            status, content_type, answer = self._admin(path[6:], body)
            headers = [("Content-Type", content_type)]
        else:
            time.sleep(self.round_trip)
            environ["wsgi.input"] = io.BytesIO(body)
            status, headers, answer = self._aws(environ, body)
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(f"{status} -", [*headers, ("Content-Length", str(len(answer)))])
        return [answer]

    def _admin(self, name: str, body: bytes) -> tuple[int, str, bytes]:
        try:
            answer = getattr(self.control, f"do_{name}")(**json.loads(body or b"{}"))
            return 200, "application/json", json.dumps(answer).encode()
        except Exception:  # noqa: BLE001,RUF100 - the test gets to read it
            return 500, "text/plain", traceback.format_exc().encode()

    def _aws(
        self, environ: dict[str, Any], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        from rig.aws.leftovers import read_tags
        from rig.aws.record import read_answer, read_call

        began = time.time()
        call = read_call(environ, body)
        with self.lock:
            hits = [fault for fault in self.control.faults if fault.meets(call)]
            refusal = self.control.credentials.refusal(call["access_key"])
        for fault in hits:
            if fault.kind == "hold" and not fault.after:
                self._hold(fault)
        fault = next((fault for fault in hits if fault.kind != "hold"), None)
        headers: list[tuple[str, str]] = []
        tags = read_tags(call["params"]) if call["service"] in ("ec2", "ssm") else {}
        if refusal:
            status, content_type, answer = kind_answer(refusal, call["protocol"])
        elif fault and not fault.after:
            status, content_type, answer = fault.answer(call["protocol"])
        else:
            status, headers, answer = self._inner(environ, call)
            content_type = ""
            if status < 300:
                answer = self.control.credentials.take_note(call, answer)
            if fault:
                status, content_type, answer = fault.answer(call["protocol"])
        if content_type:
            headers = [("Content-Type", content_type)]
        with self.lock:
            entry = {
                "n": len(self.calls) + 1,
                "time": began,
                "seconds": round(time.time() - began, 4),
                **call,
                "principal": self.control.credentials.principal(call["access_key"]),
                "status": status,
                "fault": fault.kind if fault else None,
                "resource_tags": tags,
                **read_answer(status, answer),
            }
            self.calls.append(entry)
            self.calls_file.write(json.dumps(entry) + "\n")
        for hold in hits:
            if hold.kind == "hold" and hold.after:
                self._hold(hold)
        return status, headers, answer

    def forget(self) -> None:
        """Begin a new record."""
        with self.lock:
            self.calls.clear()
            self.calls_file.truncate(0)

    def _hold(self, fault: Any) -> None:
        fault.reached.set()
        fault.released.wait(60)

    def _inner(
        self, environ: dict[str, Any], call: dict[str, Any]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Let moto answer, or what the rig has instead."""
        try:
            if call["service"] == "ssm" and call["action"] in session_manager.ACTIONS:
                service: session_manager.SessionManager = self.control.session_manager
                return service.answer(call)
            stand_in = self.control.rig.services.get(call["service"])
            if stand_in:
                account = self.control.credentials.account(call["access_key"])
                answer: tuple[int, list[tuple[str, str]], bytes] = stand_in.answer(
                    environ, call, account
                )
                return answer
            chunks, status, headers = run_wsgi_app(self.moto, environ, buffered=True)
            return int(status.split()[0]), list(headers), b"".join(chunks)
        except Exception as gap:  # noqa: BLE001,RUF100 - a gap of moto or of the rig
            # Not a 5xx: clients would repeat that for minutes, and then blame the network.
            traceback.print_exc()
            code = "RigNotImplemented" if isinstance(gap, NotImplementedError) else "RigError"
            text = f"{type(gap).__name__}: {gap}"
            number, kind, body = error_answer(call["protocol"], code, 400, text)
            return number, [("Content-Type", kind)], body


def main() -> None:
    """Serve until told to stop."""
    config = json.loads(sys.argv[1])
    state = Path(config["state_dir"])
    amis = state / "amis.json"
    amis.write_text(json.dumps(moto_amis()))
    os.environ.update(
        MOTO_AMIS_PATH=str(amis),
        MOTO_ENABLE_AMI_VALIDATION="true",
        MOTO_IAM_LOAD_MANAGED_POLICIES="true",
        MOTO_ENABLE_KEYPAIR_VALIDATION="true",
        MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION="true",
        AWS_ACCESS_KEY_ID="rig",
        AWS_SECRET_ACCESS_KEY="rig",  # noqa: S106 - moto's own clients want any
        AWS_EC2_METADATA_DISABLED="true",
    )
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    from rig.aws.control import Control

    control = Control(config)

    def create_app(service: Any) -> Any:
        app = create_backend_app(service)
        app.config["PROPAGATE_EXCEPTIONS"] = True  # to Front, which answers for them
        return app

    app = DomainDispatcherApplication(create_app)
    front = Front(control, app, state / "calls.jsonl")
    control.front = front

    class Quiet(MotoRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
            """Say nothing: calls.jsonl has it all."""

    server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=Quiet)
    ended = threading.Event()

    def end(*_: Any) -> None:
        ended.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def watch_parent() -> None:
        sys.stdin.buffer.read()
        ended.set()

    threading.Thread(target=watch_parent, daemon=True).start()
    threading.Thread(target=_warm_up, daemon=True).start()
    sys.stdout.write(json.dumps({"port": server.server_port, **control.do_network()}) + "\n")
    sys.stdout.flush()
    while not ended.wait(3600):
        pass
    control.end()
    shutil.rmtree(state, ignore_errors=True)
    os._exit(0)


def _warm_up() -> None:
    """Import in advance what a build is about to need; the first call would wait for it."""
    import moto.kms
    import moto.sts  # noqa: F401


if __name__ == "__main__":
    main()
