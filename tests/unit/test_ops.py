"""The files under ops/ speak of metrics, options and paths that the program has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from tests.unit.test_operating_guide import metrics

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"


def known_names() -> set[str]:
    names = metrics()
    return names | {f"{name}_{part}" for name in names for part in ("sum", "count", "bucket")}


def named(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:workbench|process)_[a-z_]+", expression))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((OPS / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_exist_and_says_what_to_do(rule: dict[str, Any]) -> None:
    assert named(rule["expr"])
    assert named(rule["expr"]) <= known_names()
    assert rule["labels"]["severity"] in ("page", "day")
    assert rule["annotations"].keys() == {"summary", "action"}


def test_every_alert_is_shown_to_fire() -> None:
    text = (OPS / "alerts_test.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r'alertname="(\w+)"', text)) == {rule["alert"] for rule in alerts()}
    assert named(text) <= known_names()


def test_alerts_fire_when_they_should_and_not_in_an_ordinary_hour() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (of Debian's package prometheus) is not on PATH")
    for words in (["check", "rules", "alerts.yaml"], ["test", "rules", "alerts_test.yaml"]):
        done = subprocess.run([promtool, *words], cwd=OPS, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_alert_is_there_twice() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)


def test_every_cause_of_a_pause_has_an_alert() -> None:
    from workbench.engine.gate import PauseCause

    patterns = re.findall(r'workbench_paused\{cause=~?"([a-z|]+)"', str(alerts()))
    told = {cause for pattern in patterns for cause in pattern.split("|")}
    assert told == {cause.value for cause in PauseCause}


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    dashboard = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    asked = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert named(target["expr"]), panel["title"]
            asked |= named(target["expr"])
    assert asked <= known_names()
    # What is not on it is about the process, or is there in another form.
    missing = {name for name in metrics() if name.startswith("workbench_")} - {
        re.sub(r"_(bucket|sum|count)$", "", name) for name in asked
    }
    assert missing == {
        "workbench_records_written_total",
        "workbench_requests_total",
        "workbench_stream_dangers_total",
    }


def command_lines() -> list[list[str]]:
    unit = (OPS / "workbench.service").read_text(encoding="utf-8")
    container = (OPS / "Containerfile").read_text(encoding="utf-8")
    pod = yaml.safe_load((OPS / "kubernetes.yaml").read_text(encoding="utf-8"))
    (in_pod,) = pod["spec"]["template"]["spec"]["containers"]
    entry = json.loads(re.search(r"^ENTRYPOINT (.*)$", container, re.MULTILINE)[1])  # type: ignore[index]
    command = json.loads(re.search(r"^CMD (.*)$", container, re.MULTILINE)[1])  # type: ignore[index]
    started = re.search(r"^ExecStart=\S+/workbench (.*)$", unit, re.MULTILINE)
    assert started
    return [started[1].split(), [*entry[1:], *command], [*entry[1:], *in_pod["args"]]]


@pytest.mark.parametrize("words", command_lines(), ids=("systemd", "container", "kubernetes"))
def test_what_they_start_is_understood(words: list[str]) -> None:
    from workbench.cli.root import _root, _with_command

    name, *arguments = _with_command(words)
    command = _root.get_command(click.Context(_root), name)
    assert command is not None
    command.make_context("workbench", arguments)


def test_probes_ask_for_paths_that_are_served() -> None:
    text = (OPS / "kubernetes.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"path: (/\w+), port", text)) == {"/livez", "/readyz"}


def test_the_scaler_is_yaml_and_scales_the_deployment() -> None:
    scaler = yaml.safe_load((OPS / "keda.yaml").read_text(encoding="utf-8"))
    pod = yaml.safe_load((OPS / "kubernetes.yaml").read_text(encoding="utf-8"))
    assert scaler["spec"]["scaleTargetRef"]["name"] == pod["metadata"]["name"]


def test_the_guide_leads_to_every_file() -> None:
    guide = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    assert [path.name for path in OPS.iterdir() if f"](../ops/{path.name})" not in guide] == []
