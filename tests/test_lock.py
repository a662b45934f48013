"""requirements.lock has exactly the dependencies of pyproject.toml and their dependencies."""

import re
import tomllib
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


def locked() -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def test_the_lock_file_is_up_to_date() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    pins, needed = locked(), set()
    while required:
        requirement = required.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        assert name in pins, f"{name} is required, but not locked: run make lock"
        assert requirement.specifier.contains(pins[name]), (
            f"{requirement} is required, {pins[name]} locked: run make lock"
        )
        if (name, *extras) in needed:
            continue
        needed.add((name, *extras))
        for text in requires(name) or []:
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                required.append(Requirement(text.partition(";")[0]))
    assert set(pins) == {name for name, *_ in needed}, "packages are locked that are not required: run make lock"


def test_the_lock_file_names_no_index_and_has_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert text.count("==") <= text.count("--hash=sha256:")
