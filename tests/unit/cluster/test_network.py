"""Foreign addresses and firewall rules on the machine, and the messages about them."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cluster import network, probe
from tests.cluster.error import ClusterError
from tests.cluster.slot import Slot

OURS = (
    "-A PREROUTING -d 10.96.0.1/32 -i taskruns2 -p tcp -m tcp --dport 443 "
    "-j REDIRECT --to-ports 26440"
)
NEIGHBOUR = OURS.replace("taskruns2", "taskruns1").replace("26440", "26420")
LEFT_BEHIND = (
    "-A PREROUTING -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j DNAT --to-destination 10.0.0.9:6443"
)
KUBE_PROXY = "-A PREROUTING -m comment --comment services -j KUBE-SERVICES"
ROUTES = [
    {"dst": "default", "dev": "eth0"},
    {"dst": "0.0.0.0/1", "dev": "tun0"},
    {"dst": "192.0.2.0/24", "dev": "eth0"},
    {"dst": "10.246.0.0/16", "dev": "taskruns2"},
    {"type": "broadcast", "dst": "10.246.255.255", "dev": "taskruns2"},
]


class Machine:
    """A fake of the programs that inspect and change the network."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.routes = list(ROUTES)
        self.addresses: list[object] = []
        self.chain = ["-P PREROUTING ACCEPT", NEIGHBOUR]
        self.codes: list[int] = []
        self.calls: list[str] = []
        for module in (network, probe):
            monkeypatch.setattr(module, "run", self.run)

    def run(
        self, argv: Sequence[str | Path], *, within: float = 60, check: bool = True
    ) -> "subprocess.CompletedProcess[str]":
        assert within
        line = " ".join(str(word) for word in argv)
        self.calls.append(line)
        answer, code = self._answer(line)
        assert not (check and code), line
        return subprocess.CompletedProcess(
            argv, code, answer, "TimeoutError: timed out" if code else ""
        )

    def _answer(self, line: str) -> tuple[str, int]:
        if "route show" in line:
            return json.dumps(self.routes), 0
        if "-4 address" in line:
            return json.dumps(self.addresses), 0
        if "netns exec" in line:
            return "", self.codes.pop(0)
        if line == "iptables-save":
            return "*filter\n:INPUT DROP [0:0]\nCOMMIT\n*nat\n" + "\n".join(
                self.chain
            ) + "\nCOMMIT\n", 0
        return self._rules(line)

    def _rules(self, line: str) -> tuple[str, int]:
        if "--check" in line:
            return "", int(OURS not in self.chain)
        if "--delete" in line:
            self.chain.remove(OURS)
        elif "--insert PREROUTING 1" in line:
            self.chain.insert(1, OURS)
        return "\n".join(self.chain), 0


@pytest.fixture
def resolvers(tmp_path: Path) -> Path:
    """Provide the path of the machine's resolv.conf, which does not exist yet."""
    return tmp_path / "resolv.conf"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, resolvers: Path) -> Machine:
    monkeypatch.setattr(network, "exists", lambda _: True)
    monkeypatch.setattr(network, "RESOLVERS", resolvers)
    return Machine(monkeypatch)


def test_default_routes_and_the_bridges_own_addresses_are_in_nobodys_way(machine: Machine) -> None:
    assert machine.routes
    assert network.foreign_addresses(Slot(2)) == []


@pytest.mark.parametrize(
    "route",
    [
        {"dst": "10.246.0.0/24", "dev": "cni0"},
        {"dst": "10.0.0.0/8", "dev": "tun0"},
        {"type": "blackhole", "dst": "10.246.7.7"},
    ],
    ids=["a part of it", "all around it", "one address"],
)
def test_a_route_of_another_takes_the_range(machine: Machine, route: dict[str, str]) -> None:
    machine.routes.append(route)
    (words,) = network.foreign_addresses(Slot(2))
    assert route["dst"] in words
    assert route.get("dev", "no interface") in words
    assert network.foreign_addresses(Slot(2, 2)) == []


@pytest.mark.usefixtures("machine")
def test_a_name_server_takes_the_range(resolvers: Path) -> None:
    resolvers.write_text("search test\nnameserver fd00::1\nnameserver 10.246.255.53\n")
    (words,) = network.foreign_addresses(Slot(2))
    assert words == f"10.246.255.53/32 on the way to a name server ({resolvers})"
    assert network.foreign_addresses(Slot(3)) == []


def test_an_address_of_an_interface_that_is_down_takes_the_range(machine: Machine) -> None:
    address = {"local": "10.246.0.1", "prefixlen": 16}
    machine.addresses.append({"ifname": "docker9", "addr_info": [address]})
    assert network.foreign_addresses(Slot(2)) == ["10.246.0.0/16 on docker9"]


@pytest.mark.parametrize("rule", [LEFT_BEHIND, KUBE_PROXY], ids=["left behind", "kube-proxy"])
def test_our_rule_comes_before_one_for_every_interface(machine: Machine, rule: str) -> None:
    machine.chain += [rule, OURS]
    assert network.rules_before("\n".join(machine.chain), Slot(2)) == [rule]
    network.bring_up(Slot(2))
    assert machine.chain == ["-P PREROUTING ACCEPT", OURS, NEIGHBOUR, rule]


def test_our_rule_stays_where_nothing_before_it_can_match(machine: Machine) -> None:
    harmless = [
        "-A PREROUTING -d 10.97.0.0/16 -p tcp -j DROP",
        "-A PREROUTING -p udp -j DROP",
        "-A PREROUTING -p tcp -m tcp --dport 80 -j DROP",
    ]
    machine.chain += [*harmless, OURS]
    network.bring_up(Slot(2))
    assert machine.chain[-1] == OURS
    assert not [call for call in machine.calls if "--insert" in call]


def test_a_rule_for_every_interface_but_another_can_match() -> None:
    rule = "-A PREROUTING ! -i lo ! -d 10.0.0.0/16 -j DNAT"
    assert network.rules_before(f"{rule}\n{OURS}", Slot(2)) == [rule]


def test_the_probe_connects_from_the_bridge_and_leaves_nothing(
    machine: Machine, tmp_path: Path
) -> None:
    machine.codes = [1, 0]
    probe.check(Slot(2), tmp_path)
    assert "ip -netns taskruns2-probe address add 10.246.255.254/16 dev eth0" in machine.calls
    assert not machine.codes


def test_a_probe_that_fails_names_what_may_be_in_the_way(machine: Machine, tmp_path: Path) -> None:
    machine.codes = [1] * probe.ATTEMPTS
    machine.chain += [LEFT_BEHIND, OURS]
    machine.routes.append({"dst": "10.246.0.0/24", "dev": "cni0"})
    with pytest.raises(ClusterError) as error:
        probe.check(Slot(2), tmp_path)
    words = str(error.value)
    assert "cannot reach the API at 10.96.0.1:443: TimeoutError: timed out" in words
    assert f"rule of nat: {LEFT_BEHIND}" in words
    assert "addresses: 10.246.0.0/24 on cni0" in words
    assert "filter: :INPUT DROP" in words
    assert NEIGHBOUR not in words
