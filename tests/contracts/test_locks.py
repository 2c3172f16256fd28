"""Each lock pins what `pyproject.toml` asks for, every pin by hash."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
BASE = PROJECT["project"]["dependencies"]
CONTROLLER = BASE + PROJECT["project"]["optional-dependencies"]["controller"]
BUILD = PROJECT["dependency-groups"]["build"] + PROJECT["build-system"]["requires"]
DEV = [each for each in PROJECT["dependency-groups"]["dev"] if isinstance(each, str)]
ASKED = {"build": BUILD, "controller": CONTROLLER, "dev": CONTROLLER + BUILD + DEV, "uv": ["uv"]}


def _entries(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    return re.findall(r"^[A-Za-z0-9].*?(?=^[A-Za-z0-9]|\Z)", text, re.MULTILINE | re.DOTALL)


def _pins(lock: str) -> dict[str, Version]:
    pins = [re.match(r"(\S+)==(\S+)", entry) for entry in _entries(lock)]
    return {canonicalize_name(pin[1]): Version(pin[2]) for pin in pins if pin}


@pytest.mark.parametrize("lock", ASKED)
def test_a_lock_satisfies_the_project(lock: str) -> None:
    pins = _pins(lock)
    for asked in map(Requirement, ASKED[lock]):
        assert pins[canonicalize_name(asked.name)] in asked.specifier


@pytest.mark.parametrize("lock", ASKED)
def test_every_pin_has_a_hash(lock: str) -> None:
    assert all("--hash=sha256:" in entry for entry in _entries(lock))


def test_what_is_tested_is_what_the_image_holds() -> None:
    assert _pins("controller").items() <= _pins("dev").items()
