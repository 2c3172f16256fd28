"""Each lock satisfies `pyproject.toml`, and every pin has a hash."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = PROJECT["project"]["dependencies"]
CONTROLLER = BASE + PROJECT["project"]["optional-dependencies"]["controller"]
BUILD = PROJECT["dependency-groups"]["build"] + PROJECT["build-system"]["requires"]
DEV = [each for each in PROJECT["dependency-groups"]["dev"] if isinstance(each, str)]
PROVIDER = tomllib.loads((ROOT / "provider/pyproject.toml").read_text())
GROUPS = PROVIDER["dependency-groups"]
COMPARED = [each for each in GROUPS["docker"] if "taskruns" not in each]
WITH_AIRFLOW = [each for each in PROVIDER["project"]["dependencies"] if "taskruns" not in each]
TESTED = WITH_AIRFLOW + GROUPS["test"] + COMPARED
ASKED = {
    "requirements/build": BUILD,
    "requirements/controller": CONTROLLER,
    "requirements/dev": CONTROLLER + BUILD + DEV,
    "requirements/picture": PROJECT["dependency-groups"]["picture"],
    "requirements/release": PROJECT["dependency-groups"]["release"],
    "requirements/uv": ["uv"],
    "provider/requirements/airflow-3": TESTED + GROUPS["airflow-3"][2:],
    "provider/requirements/airflow-2": TESTED + GROUPS["airflow-2"][2:],
}


def _entries(lock: str) -> list[str]:
    text = (ROOT / f"{lock}.txt").read_text()
    return re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)


def _pins(lock: str) -> dict[str, Version]:
    pins = [re.match(r"(\S+)==(\S+)", entry) for entry in _entries(lock)]
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


def _unsatisfied(lock: str) -> Iterator[str]:
    pins = _pins(lock)
    for requirement in map(Requirement, ASKED[lock]):
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None or pin not in requirement.specifier:
            yield f"{lock}.txt: {requirement} is pinned as {pin}"


def test_every_lock_satisfies_the_project() -> None:
    unsatisfied = [each for lock in ASKED for each in _unsatisfied(lock)]
    assert not unsatisfied, "\n".join(unsatisfied)


def test_every_pin_has_a_hash() -> None:
    without = [
        f"{lock}.txt: {entry.splitlines()[0]}"
        for lock in ASKED
        for entry in _entries(lock)
        if "--hash=sha256:" not in entry
    ]
    assert without == []


def test_what_is_tested_is_what_the_image_holds() -> None:
    assert _pins("requirements/controller").items() <= _pins("requirements/dev").items()


def test_the_provider_asks_for_the_contract_of_this_checkout() -> None:
    project = PROJECT["project"]
    assert f"{project['name']}=={project['version']}" in PROVIDER["project"]["dependencies"]
