"""The lock files have exactly the dependencies of pyproject.toml and their dependencies.

requirements.lock is for whoever works on the project, deploy/requirements.lock for the service alone.
"""

import os
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent


FILES = ("requirements.lock", "deploy/requirements.lock")
for_each_file = pytest.mark.parametrize("file", FILES)


def locked(file: str) -> dict[str, str]:
    pins = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


def requirements_of(name: str) -> list[str]:
    try:
        return requires(name) or []
    except PackageNotFoundError:
        assert name == "gunicorn-h1c", "the only package that is left out where it cannot be compiled"
        return []


@for_each_file
def test_the_lock_file_is_up_to_date(file: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["dev"] if file == "requirements.lock" else []
    required = [Requirement(text) for text in project["dependencies"] + extra]
    pins, needed = locked(file), set()
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
        for text in requirements_of(name):
            child = Requirement(text)
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras | {""}):
                required.append(Requirement(text.partition(";")[0]))
    assert set(pins) == {name for name, *_ in needed}, "packages are locked that are not required: run make lock"


def test_both_lock_files_have_the_same_versions() -> None:
    everything, service = map(locked, FILES)
    assert service.items() <= everything.items()


@for_each_file
def test_the_lock_file_names_no_index_and_has_hashes(file: str) -> None:
    text = (ROOT / file).read_text()
    assert "://" not in text
    assert "index-url" not in text
    assert text.count("==") <= text.count("--hash=sha256:")


@pytest.mark.slow
def test_an_audit_that_could_not_check_fails_and_says_so() -> None:
    unreachable = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:1")
    ran = subprocess.run(
        ["make", "audit"], cwd=ROOT, env=os.environ | unreachable, capture_output=True, text=True, check=False
    )
    assert ran.returncode != 0
    assert "audit: not checked" in ran.stderr
    assert "audit: vulnerable" not in ran.stderr
