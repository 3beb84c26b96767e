"""pyproject.toml, requirements.lock and environment.yml say the same."""

import re
import tomllib

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import palcore
from tests.conftest import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED_EXTRAS = ("dev", "jax")
PYTHONS = ("3.11", "3.12", "3.13")
ADDRESS = re.compile(r"https?://|--index-url|--extra-index-url|--find-links|file:|pypi\.org")


def read_lock():
    """``[(name, version, marker or None)]`` of every pin, each of which has hashes."""
    pins = []
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text()):
        if block.startswith("#"):
            continue
        requirement, *hashes = re.split(r"\s*\\\n\s*", block.strip())
        match = re.fullmatch(r"([\w.-]+)==([^\s;]+)(?:\s*;\s*(.+))?", requirement)
        assert match, f"not a pin: {requirement}"
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", value) for value in hashes)
        name, version, marker = match.groups()
        pins.append((canonicalize_name(name), Version(version), Marker(marker) if marker else None))
    return pins


def wanted():
    """Every requirement that the lock must hold: the dependencies, and those of the locked extras."""
    requirements = [*PROJECT["dependencies"], *(line for extra in LOCKED_EXTRAS for line in EXTRAS[extra])]
    parsed = [Requirement(line) for line in requirements]
    return [requirement for requirement in parsed if requirement.name != PROJECT["name"]]


PINS = read_lock()


def pinned(name, python):
    """Versions pinned for a package on Linux with this Python."""
    environment = {"python_version": python, "python_full_version": f"{python}.5", "sys_platform": "linux", "extra": ""}
    environment |= {"platform_system": "Linux", "platform_machine": "x86_64", "platform_python_implementation": "CPython"}
    pins = [(version, marker) for pin, version, marker in PINS if pin == canonicalize_name(name)]
    return [version for version, marker in pins if marker is None or marker.evaluate(environment)]


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_lock_pins_each_dependency_within_its_bounds(requirement, python):
    versions = pinned(requirement.name, python)
    assert len(versions) == 1, f"{requirement.name} is pinned {len(versions)} times for Python {python}: run `make lock`"
    assert versions[0] in requirement.specifier, f"{versions[0]} is pinned, {requirement} is wanted: run `make lock`"


def test_cuda_asks_for_the_same_tensorflow():
    cpu = [Requirement(line) for line in PROJECT["dependencies"] if line.startswith("tensorflow")]
    gpu = [Requirement(line) for line in EXTRAS["cuda"]]
    assert [(each.name, each.specifier) for each in cpu] == [(each.name, each.specifier) for each in gpu]
    assert gpu[0].extras == {"and-cuda"}


def test_conda_environment_installs_the_project():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert (environment["name"], environment["channels"]) == (PROJECT["name"], ["conda-forge"])
    *plain, pip = environment["dependencies"]
    [python] = [line.removeprefix("python=") for line in plain if line.startswith("python=")]
    assert Version(f"{python}.0") in SpecifierSet(PROJECT["requires-python"]) and "pip" in plain
    assert pip == {"pip": ["-e .[dev]"]}, "dev brings jax with it"


def test_every_supported_python_is_stated():
    supported = SpecifierSet(PROJECT["requires-python"])
    assert [python for python in ("3.10", *PYTHONS, "3.14") if Version(f"{python}.0") in supported] == list(PYTHONS)


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "environment.yml", "Makefile", ".ci/run"])
def test_no_file_names_an_index_or_a_machine(name):
    text = (ROOT / name).read_text()
    assert not ADDRESS.search(text)
    assert not re.search(r"(?:^|[\s\"'=])/(?:home|root|tmp|work|Users)/", text)


def test_version_is_the_tags_and_each_release_has_its_changes():
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert Version(palcore.__version__)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    released = re.findall(r"^## (\d\S*), (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert released[0] == (citation["version"], citation["date-released"])
    assert citation["license"] == PROJECT["license"]


WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_runs_pinned_actions_and_gives_no_job_more_than_it_needs(path):
    """What may write runs no code of others: neither a script of the repository, which installs packages, nor pip."""
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in workflow["jobs"].items():
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", action) for action in used), (name, used)
        checkouts = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)
        commands = " ".join(step.get("run", "") for step in job["steps"])
        if "permissions" in job:
            assert not checkouts and not re.search(r"pip|bash|make|python", commands), name
        else:
            assert "token" not in str([step.get("env", {}) for step in job["steps"]])
