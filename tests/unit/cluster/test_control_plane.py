"""Arguments and configuration of the test cluster's components."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import configuration, control_plane
from tests.cluster.configuration import PAUSE_IMAGE
from tests.cluster.node import Node
from tests.cluster.place import Place
from tests.cluster.slot import Slot
from tests.cluster.supervisor import Component


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place("mine", tmp_path / "mine")
    made.pki.mkdir(parents=True)
    for name in ("ca", "admin", "controller-manager", "scheduler", "kubelet"):
        (made.pki / f"{name}.crt").write_text(f"certificate of {name}")
        (made.pki / f"{name}.key").write_text(f"key of {name}")
    return made


def _everything(component: Component) -> str:
    return "\n".join([*component.argv, *component.files.values()])


@pytest.mark.parametrize("name", control_plane.NAMES)
def test_a_component_is_the_same_every_time(place: Place, name: str) -> None:
    once = control_plane.component(name, place, Slot(1))
    assert once.digest == control_plane.component(name, place, Slot(1)).digest
    assert once.name == name


@pytest.mark.parametrize("name", control_plane.NAMES)
def test_two_slots_share_no_argument_that_says_where(
    tmp_path: Path, place: Place, name: str
) -> None:
    second = Place("other", tmp_path / "other")
    second.pki.mkdir(parents=True)
    for file in place.pki.iterdir():
        (second.pki / file.name).write_text(file.read_text())
    text = _everything(control_plane.component(name, second, Slot(2)))
    for mine in (str(place.folder), Slot(1).handle, str(Slot(1).gateway)):
        assert mine not in text
    assert not [word for word in text.split(":") if word.startswith("2642")]


def test_nothing_listens_to_the_world(place: Place) -> None:
    every = "".join(
        _everything(control_plane.component(n, place, Slot(0))) for n in control_plane.NAMES
    )
    assert "//0.0.0.0" not in every
    assert "address=0.0.0.0" not in every
    assert '"address": "0.0.0.0"' not in every
    apiserver = control_plane.apiserver(place, Slot(0)).argv
    assert "--bind-address=10.244.0.1" in apiserver
    for component in (control_plane.controller_manager, control_plane.scheduler):
        assert "--bind-address=127.0.0.1" in component(place, Slot(0)).argv


def test_only_our_own_group_is_the_kubelets(place: Place) -> None:
    assert _kubelet(place)["cgroupRoot"] == "/taskruns5/pods"


def test_the_kubelet_collects_no_image_that_nobody_can_pull_again(place: Place) -> None:
    assert _kubelet(place)["imageGCHighThresholdPercent"] == 100


def _kubelet(place: Place) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(configuration.kubelet(Node(place, Slot(5))))
    return settings


def test_containerd_stays_in_its_own_folder(place: Place) -> None:
    text = configuration.containerd(Node(place, Slot(5)))
    paths = re.findall(r'= "(/[^"]+)"', text)
    assert len(paths) == 6
    assert [p for p in paths if not p.startswith(f"{place.folder}/")] == ["/usr/lib/cni"]
    assert f'sandbox_image = "{PAUSE_IMAGE}"' in text


def test_the_audit_log_has_every_call_of_a_controller() -> None:
    policy = json.loads(configuration.audit_policy())
    levels = [rule["level"] for rule in policy["rules"]]
    assert levels == ["Metadata", "None", "None", "None", "Metadata", "None"]
    first = policy["rules"][0]
    assert {"group": "", "resources": ["pods", "pods/*"]} in first["resources"]
    assert {"create", "update", "patch", "delete", "get", "list"} <= set(first["verbs"])
    assert "watch" not in first["verbs"], "Kubernetes itself watches Pods all the time"
    assert "watch" in policy["rules"][4]["verbs"]
    assert "RequestReceived" in policy["omitStages"], "each call is one line"


def test_a_kubeconfig_can_be_carried_away(place: Place) -> None:
    text = configuration.kubeconfig("c", "https://10.244.0.1:1", place.pki, "admin")
    assert str(place.folder) not in text
    loaded = json.loads(text)
    assert loaded["current-context"] == "c"
    assert loaded["clusters"][0]["cluster"]["server"] == "https://10.244.0.1:1"
