"""The alerts for Prometheus: valid, on metrics and codes that the daemon has, and raised when they should be."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enarx.host.errors import STATUS
from tests.host.conftest import daemon, root  # noqa: F401  # fixtures
from tests.host.harness import Daemon
from tests.house.test_invariants import ROOT

ALERTS = ROOT / "packaging" / "prometheus" / "alerts.yml"
OF_PROMETHEUS = {"up"}

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")


def expressions(text: str) -> list[str]:
    return re.findall(r"^ +expr: (.+)$", text, re.MULTILINE)


def named(text: str) -> set[str]:
    """The metrics in the expressions."""
    return {name for line in expressions(text) for name in re.findall(r"\b(enarx_\w+|up)\b", line)} - OF_PROMETHEUS


def labels(text: str, label: str) -> set[str]:
    """The values that the expressions ask a label for."""
    asked = [value for line in expressions(text) for value in re.findall(rf'{label}=~?"([^"]+)"', line)]
    return {part for value in asked for part in value.split("|")}


def exported(text: str) -> set[str]:
    """The names of the series in an answer of /metrics."""
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if not line.startswith("#")}


def test_each_metric_and_each_label_is_exported(daemon: Callable[..., Daemon]) -> None:
    rules = ALERTS.read_text()
    answer = daemon().call("GET", "/metrics")[1].decode()
    assert len(named(rules)) >= 3
    assert named(rules) <= exported(answer)
    assert labels(rules, "code")
    assert labels(rules, "code") <= STATUS.keys()
    for code in labels(rules, "code"):  # from the start, or the first increase would not be seen
        assert f'enarx_errors_total{{code="{code}"}} 0.0' in answer
    for state in labels(rules, "state"):
        assert f'enarx_keeps{{state="{state}"}}' in answer


def test_a_metric_that_is_none_would_be_noticed() -> None:
    assert named('        expr: rate(enarx_nothing_total{code="x"}[5m]) > up\n') == {"enarx_nothing_total"}
    assert labels('        expr: enarx_errors_total{code=~"one|other"}\n', "code") == {"one", "other"}


@promtool
def test_promtool_accepts_the_rules() -> None:
    command = ["promtool", "check", "rules", str(ALERTS)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


RISING = {
    "EnarxHostFull": ('enarx_errors_total{code="host-full"}', "0+1x30"),
    "EnarxDiskFull": ('enarx_errors_total{code="disk-full"}', "0 0 0 0 0 1+0x30"),
    "EnarxOutOfResources": ('enarx_errors_total{code="descriptors"}', "0 0 0 0 0 1+0x30"),
    "EnarxSandboxIncomplete": ('enarx_errors_total{code="layers-missing"}', "0 0 0 0 0 1+0x30"),
    "EnarxFaults": ('enarx_errors_total{code="internal"}', "0 0 0 0 0 1+0x30"),
    "EnarxKeepsLost": ('enarx_keeps{state="lost"}', "0 0 0 0 0 1+0x30"),
    "EnarxClientsTurnedAway": ('enarx_errors_total{code="crowded"}', "0+120x30"),
    "EnarxUnauthorized": ('enarx_errors_total{code="unauthorized"}', "0+60x30"),
    "EnarxHostDown": ('up{job="enarx"}', "0x30"),
    "EnarxLaunchesSlow": ('enarx_launch_seconds_bucket{le="10"}', "0+60x30"),
}
"""A series that raises each alert, and its values by the minute."""

QUIET = {"up": "1x30", "enarx_keeps": "0x30"}


def series(name: str, values: str) -> dict[str, str]:
    return {"series": name.replace("{", '{instance="h",'), "values": values}


def group(alert: str, values: str | None) -> dict[str, object]:
    """A test of promtool: whether the alert is raised at 12 minutes. Without values the series stays as it is in quiet times."""
    name, raising = RISING[alert]
    given = [series(name, values or QUIET.get(name.split("{")[0], "0x30"))]
    if alert == "EnarxLaunchesSlow":
        given += [series('enarx_launch_seconds_bucket{le="+Inf"}', raising if values else "0x30")]
        given += [series('enarx_launch_seconds_bucket{le="2.5"}', "0x30")]
    lines = subprocess.run(["promtool", "--version"], capture_output=True, text=True)
    assert lines.returncode == 0
    return {
        "interval": "1m",
        "input_series": given,
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                "eval_time": "12m",
                "exp_samples": [{"labels": "{}", "value": int(values is not None)}],
            }
        ],
    }


@promtool
@pytest.mark.parametrize("alert", RISING)
def test_each_alert_is_raised_and_only_then(alert: str, tmp_path: Path) -> None:
    tests = {"rule_files": [str(ALERTS)], "evaluation_interval": "1m"}
    groups = [group(alert, RISING[alert][1]), group(alert, None)]
    (tmp_path / "test.yml").write_text(json.dumps({**tests, "tests": groups}))  # JSON is YAML
    command = ["promtool", "test", "rules", str(tmp_path / "test.yml")]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_is_tried() -> None:
    assert set(re.findall(r"- alert: (\w+)", ALERTS.read_text())) == RISING.keys()
