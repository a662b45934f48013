"""requirements.lock holds exactly what pyproject.toml asks for, and all that this asks for in turn."""

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


def test_the_lock_is_current() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["dev"]]
    pins, needed = locked(), set()
    while asked:
        requirement = asked.pop()
        name = canonicalize_name(requirement.name)
        extras = requirement.extras or {""}
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        assert name in pins, f"{name} is asked for, and not in the lock: make lock"
        assert requirement.specifier.contains(pins[name]), f"{requirement} against {pins[name]}: make lock"
        if (name, *extras) in needed:
            continue
        needed.add((name, *extras))
        for text in requires(name) or []:
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                asked.append(Requirement(text.partition(";")[0]))
    assert set(pins) == {name for name, *_ in needed}, "the lock has more than is asked for: make lock"


def test_the_lock_names_no_index_and_has_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert text.count("==") <= text.count("--hash=sha256:")
