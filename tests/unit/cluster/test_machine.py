"""Readers of the machine's state: mounts, control groups, packages, pip's settings."""

from pathlib import Path

import pytest

from tests.cluster import cgroup, mount, network, package, pip_settings
from tests.cluster.slot import Slot

MOUNTINFO = """\
22 1 254:0 / / rw shared:1 - ext4 /dev/vda rw
30 22 0:5 / /s/clusters/a/run rw - tmpfs tmpfs rw
31 30 0:6 / /s/clusters/a/run/pod\\0401 rw - tmpfs tmpfs rw
32 22 0:7 / /s/clusters/ab/run rw - tmpfs tmpfs rw
"""


def test_mounts_below_a_folder_come_off_innermost_first() -> None:
    assert mount.below(Path("/s/clusters/a"), MOUNTINFO) == [
        "/s/clusters/a/run/pod 1",
        "/s/clusters/a/run",
    ]


def test_a_folder_of_a_similar_name_is_left_alone() -> None:
    assert mount.below(Path("/s/clusters/abc"), MOUNTINFO) == []


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nproc /proc proc rw 0 0", ["/sys/fs/cgroup"]),
        (
            (
                "cgroup /g/pids cgroup rw,pids 0 0\ncgroup /g/cpu cgroup rw,cpu 0 0\n"
                "cgroup2 /g/unified cgroup2 rw 0 0"
            ),
            ["/g/unified", "/g/cpu", "/g/pids"],
        ),
        ("cgroup /g/pids cgroup rw,pids 0 0", ["/g/pids"]),
    ],
    ids=["version 2", "both", "version 1"],
)
def test_processes_are_tracked_in_version_2_where_it_is(mounts: str, expected: list[str]) -> None:
    assert [str(path) for path in cgroup.hierarchies(mounts)] == expected


def test_the_redirection_is_for_one_bridge_only() -> None:
    rule = " ".join(network.redirection(Slot(2)))
    assert rule == (
        "--in-interface taskruns2 --destination 10.96.0.1/32 --protocol tcp "
        "--dport 443 --jump REDIRECT --to-ports 26440"
    )


def test_a_package_is_missing_when_what_it_brings_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    marks = {"shell": "sh", "file": f"{tmp_path}/plain", "nothing": f"{tmp_path}/no", "odd": "n0ne"}
    assert package.missing(marks) == ["nothing", "odd"]


def _config(folder: Path, text: str) -> Path:
    path = folder / "pip.conf"
    path.write_text(text)
    return path


def test_pip_settings_of_the_environment_outdo_those_of_a_file(tmp_path: Path) -> None:
    path = _config(tmp_path, "[global]\nindex-url = https://f/simple\n")
    assert pip_settings.read([path], {}) == {"index-url": "https://f/simple"}
    environ = {"PIP_INDEX_URL": "https://e/simple"}
    assert pip_settings.read([path], environ) == {"index-url": "https://e/simple"}


def test_only_what_leads_to_packages_goes_into_an_image(tmp_path: Path) -> None:
    path = _config(
        tmp_path,
        "[global]\ncert = /etc/own.pem\ndefault-timeout = 180\nno-color = 1\n"
        "[install]\nfind-links =\n    /opt/wheels\n    https://f/100%/wheels\n",
    )
    expected = {"find-links": "https://f/100%/wheels", "timeout": "180"}
    assert pip_settings.read([path], {}) == expected


def test_a_folder_of_this_machine_is_no_use_in_an_image(tmp_path: Path) -> None:
    assert pip_settings.read([tmp_path / "none"], {"PIP_FIND_LINKS": "/opt/wheels"}) == {}


def test_pip_is_configured_where_pip_itself_looks() -> None:
    environ = {"HOME": "/h", "PIP_CONFIG_FILE": "/c"}
    assert [str(path) for path in pip_settings.files(environ)] == [
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        "/h/.pip/pip.conf",
        "/h/.config/pip/pip.conf",
        "/c",
    ]


def test_the_machines_own_certificates_are_found(tmp_path: Path) -> None:
    bundle = tmp_path / "own.pem"
    bundle.touch()
    assert pip_settings.bundle({"SSL_CERT_FILE": str(bundle)}) == bundle
    assert pip_settings.bundle({"SSL_CERT_FILE": f"{bundle}.gone"}) is None
    assert pip_settings.bundle({}) is None
