"""THIRD-PARTY.md lists what is installed with workbench, with the licences as they are stated.

`python -m tests.unit.test_third_party` prints the table as it should be.
"""

from __future__ import annotations

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def installed_with(name: str, extras: frozenset[str] = frozenset()) -> dict[str, Distribution]:
    """All that a package needs on this Python, by canonical name; itself included."""
    found: dict[str, Distribution] = {}
    todo = [(name, extras)]
    while todo:
        name, extras = todo.pop()
        key = canonicalize_name(name)
        if key in found:
            continue
        try:
            found[key] = distribution(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        for text in found[key].requires or ():
            wanted = Requirement(text)
            marker = wanted.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in (extras or {""})):
                todo.append((wanted.name, frozenset(wanted.extras)))
    return found


def licence_of(package: Distribution) -> str:
    """As its metadata states it: by expression, by classifier, or in a few words."""
    data = package.metadata
    expression = data.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [
        text.rpartition(" :: ")[2]
        for text in data.get_all("Classifier") or ()
        if text.startswith("License ::")
    ]
    return ", ".join(classifiers) or str(data.get("License")).splitlines()[0]


def rows() -> dict[str, str]:
    packages = installed_with("workbench", frozenset({"otel", "sandbox"}))
    return {name: licence_of(packages[name]) for name in sorted(packages) if name != "workbench"}


def listed() -> dict[str, str]:
    text = (ROOT / "THIRD-PARTY.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| (.+?) \|$", text, re.MULTILINE))


def test_everything_that_is_installed_is_listed_with_its_licence() -> None:
    wanted = rows()
    assert {name: listed().get(name) for name in wanted} == wanted


def test_nothing_is_listed_that_is_no_longer_used() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pinned = {canonicalize_name(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)}
    # Names of the table's heading aside.
    assert set(listed()) - {"package"} <= pinned


if __name__ == "__main__":
    for name, licence in rows().items():
        print(f"| {name} | {licence} |")
