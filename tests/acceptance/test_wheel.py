"""The package as users get it: a wheel, in an environment of its own, started in an empty folder.

About half a minute, most of it pip's. It asks the package index for what the wheel depends on.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.acceptance.conftest import COMPOSITE_FLOW, ROOT
from workbench.sandbox.nats import NatsServerError, find_binary

pytestmark = pytest.mark.timeout(300)

# Without these the program starts and fails later.
PACKAGE_DATA = {
    "workbench/py.typed",
    "workbench/emulator/standard.yaml",
    "workbench/sandbox/flows/salesforce_composite_upsert_contact.yaml",
}


def pip(python: Path | str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), "-m", "pip", "--disable-pip-version-check", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree, built from a copy so that no `build` folder is left behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "THIRD-PARTY.md"):
        shutil.copy(ROOT / name, source)
    no_caches = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "workbench", source / "workbench", ignore=no_caches)
    folder = tmp_path_factory.mktemp("wheel")
    if pip(sys.executable, "download", "--no-deps", "-d", folder, "setuptools>=77").returncode:
        pytest.skip("the package index can't be reached, so nothing can be built or installed")
    done = pip(sys.executable, "wheel", "--no-deps", "-w", folder, source)
    assert done.returncode == 0, done.stderr
    return next(folder.glob("workbench-*.whl"))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`workbench` of the wheel, with nothing else of ours within reach."""
    home = tmp_path_factory.mktemp("venv")
    venv.create(home, with_pip=True)
    done = pip(home / "bin" / "python", "install", "-c", ROOT / "constraints.txt", wheel)
    assert done.returncode == 0, done.stderr
    return home / "bin" / "workbench"


def run(program: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`workbench ARGUMENTS` in a folder, with its own environment's programs found first."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    env["PATH"] = f"{program.parent}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        [str(program), *arguments],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_wheel_holds_every_file_that_is_no_module(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    in_tree = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "workbench").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert in_tree <= names
    assert names >= PACKAGE_DATA
    for name in ("LICENSE", "THIRD-PARTY.md"):
        assert any(entry.endswith(f"licenses/{name}") for entry in names)


def test_it_knows_its_version_and_prints_the_schema(program: Path, tmp_path: Path) -> None:
    version = run(program, tmp_path, "--version")
    assert version.returncode == 0
    assert version.stdout.startswith("workbench ")
    schema = run(program, tmp_path, "schema")
    assert json.loads(schema.stdout)["title"] == "workbench flow file"


def test_it_checks_a_flow_in_an_empty_folder(program: Path, tmp_path: Path) -> None:
    shutil.copy(COMPOSITE_FLOW, tmp_path / "contacts.yaml")
    done = run(program, tmp_path, "check", "contacts.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "error" not in done.stdout


def test_the_demo_runs_from_an_empty_folder_and_leaves_it_empty(
    program: Path, tmp_path: Path
) -> None:
    try:
        server = find_binary()  # of this environment; the wheel's own has none
    except NatsServerError as error:
        pytest.skip(str(error))
    on_path = program.parent / "nats-server"
    if not on_path.exists():
        on_path.symlink_to(server)
    done = run(program, tmp_path, "demo", "--events", "50", "--format", "json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["is_accounted_for"] is True
    assert list(tmp_path.iterdir()) == []
