"""Who may import whom, where each library lives, and what a tracked file must not hold."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "workbench"

# What each package may import of ours. `codec` is the standard library's json done fast and
# `errors` the exceptions: both are ground that everything but the emulator stands on.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "codec": set(),
    "model": {"errors", "codec"},
    "observe": {"model", "errors", "codec"},
    "flow": {"model", "errors", "codec"},
    "failed": {"model", "errors", "codec"},
    "testing": {"engine", "observe", "model", "errors", "codec"},
    "engine": {"flow", "observe", "model", "errors", "codec"},
    "jetstream": {"model", "errors", "codec"},
    "salesforce": {"model", "errors", "codec"},
    "emulator": set(),
    "sandbox": {"emulator"},
    "app": {
        "engine",
        "failed",
        "jetstream",
        "salesforce",
        "flow",
        "observe",
        "model",
        "errors",
        "codec",
    },
    "cli": {"app", "engine", "flow", "observe", "model", "errors", "codec", "sandbox", "tui"},
    "tui": {"app", "engine", "flow", "observe", "model", "errors", "codec"},
}

# Of these packages `cli` and `tui` may use the door only, never a module behind it.
DOOR_ONLY = {("cli", "engine"), ("cli", "flow"), ("tui", "engine"), ("tui", "flow")}

# Where each third-party library may be imported; one that is not listed has no home, and adding
# it here is a decision, not a formality.
HOMES: dict[str, set[str]] = {
    "aiohttp": {"emulator"},
    "click": {"cli"},
    "cryptography": {"salesforce", "emulator", "sandbox"},
    "fastavro": {"salesforce", "emulator"},
    "google": {"salesforce", "emulator"},
    "grpc": {"salesforce", "emulator"},
    "httpcore2": {"salesforce"},
    "jinja2": {"flow"},
    "nats": {"jetstream"},
    "nkeys": {"jetstream"},
    "opentelemetry": {"observe"},
    "orjson": {"codec", "emulator", "sandbox"},
    "prometheus_client": {"observe"},
    "textual": {"tui"},
    "rich": {"tui"},
    "tree_sitter": {"tui"},
    "tree_sitter_json": {"tui"},
    "tree_sitter_yaml": {"tui"},
    "yaml": {"flow", "emulator"},
}


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        yield package_of(path), path


def package_of(path: Path) -> str:
    part = path.relative_to(PACKAGE).parts[0]
    return part.removesuffix(".py")


@cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """(line, dotted module) of every import, also inside functions and under TYPE_CHECKING."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                base = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join(filter(None, (*base, module)))
            if module in ("workbench", "google"):
                found += [(node.lineno, f"{module}.{alias.name}") for alias in node.names]
            else:
                found.append((node.lineno, module))
    return tuple(found)


def test_imports_go_only_downwards() -> None:
    wrong = []
    for package, path in modules():
        if package == "__init__" or package == "__main__":
            continue
        for line, module in imports(path):
            head, _, rest = module.partition(".")
            if head != "workbench":
                continue
            target = rest.split(".")[0]
            if target in (package, "__version__", ""):
                continue
            place = f"{path.relative_to(ROOT)}:{line}"
            if target not in MAY_IMPORT[package]:
                wrong.append(f"{place}: {package} may not import {target}")
            elif (package, target) in DOOR_ONLY and rest != target:
                wrong.append(f"{place}: {package} may use only the door of {target}, not {module}")
    assert not wrong, "\n".join(wrong)


def test_every_package_is_in_the_table() -> None:
    packages = {package for package, _ in modules()} - {"__init__", "__main__"}
    assert packages <= MAY_IMPORT.keys()


def test_every_library_stays_in_its_home() -> None:
    wrong = []
    for package, path in modules():
        for line, module in imports(path):
            library = module.split(".")[0]
            if library == "workbench" or library in sys.stdlib_module_names:
                continue
            if package not in HOMES.get(library, set()):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {package} may not import {library}")
    assert not wrong, "\n".join(wrong)


def test_every_door_says_what_it_offers() -> None:
    wrong = []
    for door in sorted(PACKAGE.rglob("__init__.py")):
        tree = ast.parse(door.read_text(encoding="utf-8"))
        targets = [
            target
            for node in tree.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        ]
        has_list = any(isinstance(t, ast.Name) and t.id == "__all__" for t in targets)
        is_empty = all(isinstance(node, ast.Expr) for node in tree.body)
        if not has_list and not is_empty:
            wrong.append(f"{door.relative_to(ROOT)}: no __all__")
    assert not wrong, "\n".join(wrong)


# -- what a tracked file must not hold ---------------------------------------------------------


def tracked_text_files() -> list[tuple[Path, str]]:
    try:
        listing = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
        ).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout: nothing is tracked")
    files = []
    for name in filter(None, listing.split("\0")):
        try:
            files.append((ROOT / name, (ROOT / name).read_text(encoding="utf-8")))
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
    return files


# Written in pieces so that this file does not match itself.
_FORBIDDEN = {
    "a path of somebody's machine": re.compile(
        r"(?:^|[^A-Za-z0-9_.])/(?:wo" + r"rk|fa" + r"rm|ro" + r"ot|ho" + r"me/[a-z]+|Us" + r"ers)/"
    ),
    "a package registry's host": re.compile(
        r"py" + r"pi\.org/simple|python" + r"hosted\.org|registry\.np" + r"mjs\.org"
    ),
    "something that looks like a private key": re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE " + r"KEY-----\s+[A-Za-z0-9+/]{40}"
    ),
}


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_tracked_file_holds(what: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()!r}"
        for path, text in tracked_text_files()
        for match in _FORBIDDEN[what].finditer(text)
    ]
    assert not found, f"{what} in:\n" + "\n".join(found)
