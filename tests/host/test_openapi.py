"""Schemathesis over the daemon's own OpenAPI document, against a real daemon: the document names every answer.

The seed is fixed (tests.conftest) and the number of examples bounded. A server error may only be the host's being full.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from enarx.host.http.openapi import DOCUMENT
from enarx.host.http.openapi import FRAMES_TYPE as FRAMES

from .harness import HANGS, Daemon, end_all, frame
from .test_access import TOKEN, token_file

load_all_checks()
schemathesis.serializer.alias(FRAMES, "application/octet-stream")
schemathesis.openapi.media_type(
    FRAMES, st.lists(st.binary(max_size=40).map(lambda data: frame(b"N", data))).map(b"".join)
)
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = [
    (method.upper(), path, mode)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    for mode in GenerationMode
    if mode == GenerationMode.POSITIVE or "parameters" in operation
]
NAMES = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
BOUNDED = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def checks() -> list[Any]:
    return [CHECKS.get_one(name) for name in NAMES]


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="enarx-host-") as path:
        root = Path(path)
        d = Daemon(root, address="127.0.0.1", token_files=[token_file(root)], keeps=20)
        yield d
        d.kill()
        end_all(path)


def ask(d: Daemon, case: Any) -> Any:
    """Send a case, without what would only take time, and compare the answer with the document."""
    if isinstance(case.body, dict) and case.body.get("memory") == HANGS:
        case.body["memory"] += 1
    query = case.query or {}
    with contextlib.suppress(TypeError, ValueError):
        if float(query.get("timeout", 30)) > 0.1 and "/wait" in case.path:
            case.query = {**query, "timeout": 0.1}
    if case.path.endswith("/output") and str(query.get("follow", "true")).lower() == "true":
        case.query = {**query, "follow": "false"}
    answer = case.call(base_url=f"http://127.0.0.1:{d.port}", headers=HEADERS, timeout=20)
    if answer.status_code >= 500:
        assert answer.status_code == 503, answer.text
        assert answer.json()["error"]["code"] == "host-full"
        d.call("POST", "/v1/prune", **HEADERS)
    case.validate_response(answer, checks=checks(), headers=HEADERS)
    return answer


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS, ids=lambda value: str(value))
def test_every_answer_is_in_the_document(daemon: Daemon, method: str, path: str, mode: GenerationMode) -> None:
    @BOUNDED
    @seed(1)
    @given(case=SCHEMA[path][method].as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        ask(daemon, case)

    run()


def test_nor_does_any_order_of_requests_lead_elsewhere(daemon: Daemon) -> None:
    seen: set[tuple[str, int]] = set()

    class Machine(SCHEMA.as_state_machine()):  # type: ignore[misc]
        def call(self, case: Any, **kwargs: Any) -> Any:
            answer = ask(daemon, case)
            seen.add((case.operation.definition.raw["operationId"], answer.status_code))
            return answer

        def validate_response(self, response: Any, case: Any, *args: Any, **kwargs: Any) -> None:
            """Done in `ask`."""

        def teardown(self) -> None:
            """Empty the host: what an example draws must not depend on earlier examples."""
            for keep in daemon.call("GET", "/v1/keeps", **HEADERS)[1]["keeps"]:
                daemon.call("DELETE", f"/v1/keeps/{keep['id']}?force=true", **HEADERS)
            super().teardown()

    Machine.run(settings=settings(BOUNDED, max_examples=40, stateful_step_count=8))
    assert {("launch", 201), ("inspect", 200), ("stop", 204)} <= seen, seen
    assert "internal" not in daemon.text()
    assert not [line for line in daemon.lines() if line["event"] == "bug"]
