"""The lines of a job's log that explain a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import requests

from packer_toolkit.errors import RemoteError
from packer_toolkit.pipeline.record import extract_failure, read_failure

JOB: Any = SimpleNamespace(logs_url=lambda: "https://logs.example/5")


class FakeAnswer:
    """An answer with a log, or with an error of the server."""

    def __init__(self, log: bytes, error: requests.RequestException | None = None) -> None:
        self.raw = SimpleNamespace(read=lambda size, **_: log[:size])
        self.error = error

    def __enter__(self) -> FakeAnswer:
        """Return the answer."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def raise_for_status(self) -> None:
        """Raise the error."""
        if self.error:
            raise self.error


def test_log_is_read_from_another_server() -> None:
    """The request for the log has a time limit and no token."""
    requested: list[tuple[str, dict[str, Any]]] = []

    def get(url: str, **options: Any) -> Any:
        requested.append((url, options))
        return FakeAnswer(b"2026-11-26T03:04:05.0Z ##[error]no\xff\n")

    assert read_failure(JOB, get) == ["no\ufffd"]
    assert requested == [("https://logs.example/5", {"timeout": 15, "stream": True})]


def test_log_that_cannot_be_read_is_an_error_of_one_line() -> None:
    """An answer of the other server is named by its class."""
    answer: Any = FakeAnswer(b"", requests.HTTPError("410\nGone"))
    with pytest.raises(RemoteError) as error:
        read_failure(JOB, lambda *_, **__: answer)
    expected = (
        "cannot read the log of the failed job: GitHub cannot be reached (HTTPError: 410 Gone)"
    )
    assert str(error.value) == expected


def test_first_error_has_the_lines_before_it() -> None:
    """Ten lines before the first error and all errors, without marks, colors and repetitions."""
    lines = [f"line {number}" for number in range(20)]
    log = [*lines, "##[group]\x1b[36mRun\x1b[0m", "##[error]first", "other", "##[error]second"]
    failure = extract_failure([f"2026-11-26T03:04:05.0Z {line}" for line in log])
    assert failure == [*lines[11:], "Run", "first", "second"]
    assert extract_failure(["a", "a", "##[error]a", ""]) == ["a"]
    assert extract_failure(["all went well"]) == []
