"""The environment of the unit and contract tests: no settings, restored afterwards."""

import os
from pathlib import Path

import pytest

from tests.support.environment import isolated


def test_settings_are_removed_and_the_environment_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/etc/cluster")
    monkeypatch.setenv("LANG", "C.UTF-8")
    before = dict(os.environ)
    with isolated(tmp_path):
        assert "KUBECONFIG" not in os.environ
        assert (os.environ["HOME"], os.environ["LANG"]) == (str(tmp_path), "C.UTF-8")
        os.environ["ADDED"] = "x"
        os.environ["LANG"] = "changed"
        del os.environ["PATH"]
    assert dict(os.environ) == before
