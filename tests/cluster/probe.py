"""Check that Pods can reach the API, by a connection from the bridge.

Connections from the machine itself pass other rules and prove nothing. Without this check, a
conflicting rule or route would only show minutes later, as Pods that wait.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster import network
from tests.cluster.command import run
from tests.cluster.error import ClusterError
from tests.cluster.slot import API_SERVICE, Slot

ATTEMPTS = 3
SECONDS = 20
REQUEST = """
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
connection = http.client.HTTPSConnection(sys.argv[2], timeout=4, context=context)
connection.request("GET", "/livez")
connection.getresponse()
"""
"""Program that connects to the API. Any response is accepted: the certificate proves its origin."""


def check(slot: Slot, authority: Path) -> None:
    """Connect to the API's Service address from the bridge.

    Raises:
        ClusterError: the apiserver of this cluster does not respond; the message names possible
            causes.
    """
    answer = ""
    with _namespace(slot) as name:
        command = ["ip", "netns", "exec", name, sys.executable, "-c", REQUEST]
        for _ in range(ATTEMPTS):
            done = run([*command, authority, str(API_SERVICE)], within=SECONDS, check=False)
            if not done.returncode:
                return
            answer = (done.stderr.strip() or "no answer").splitlines()[-1]
    raise ClusterError(explain(slot, answer, run(["iptables-save"]).stdout, _tables()))


def explain(slot: Slot, answer: str, rules: str, tables: str) -> str:
    """Return the error message: what failed, the possible causes, and what to do."""
    nat, _, _ = rules.partition("*nat")[2].partition("COMMIT")
    suspects = [f"rule of nat: {rule}" for rule in network.rules_before(_chain(nat), slot)]
    suspects += [f"addresses: {each}" for each in network.foreign_addresses(slot)]
    suspects += [f"filter: {line}" for line in rules.splitlines() if _closes_input(line, slot)]
    suspects += [f"nft: {line}" for line in tables.splitlines() if "kube-proxy" in line]
    lines = "\n".join(f"  {each}" for each in suspects) or "  none found; check `nft list ruleset`"
    return (
        f"a Pod on {slot.handle} ({slot.pod_cidr}) cannot reach the API at {API_SERVICE}:443: "
        f"{answer}. Possible causes:\n{lines}\n"
        "Remove the cause, or take this cluster down and up again, so that it gets other addresses."
    )


def _chain(rules: str) -> str:
    return "\n".join(line for line in rules.splitlines() if line.startswith("-A PREROUTING"))


def _closes_input(line: str, slot: Slot) -> bool:
    if line.startswith(":INPUT"):
        return "DROP" in line
    words = line.split()
    if words[:2] != ["-A", "INPUT"] or not {"DROP", "REJECT"} & set(words):
        return False
    return "-i" not in words or slot.handle in words


def _tables() -> str:
    try:
        return run(["nft", "list", "tables"], check=False).stdout
    except ClusterError:
        return ""


@contextmanager
def _namespace(slot: Slot) -> Iterator[str]:
    """Yield a network namespace on the bridge, with the last address of the Pods' range."""
    name, link = _names(slot)
    clear(slot)
    try:
        run(["ip", "netns", "add", name])
        run(["ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name])
        run(["ip", "link", "set", link, "master", slot.handle, "up"])
        address = f"{slot.pod_cidr[-2]}/{slot.pod_cidr.prefixlen}"
        within = ["ip", "-netns", name]
        run([*within, "address", "add", address, "dev", "eth0"])
        run([*within, "link", "set", "eth0", "up"])
        run([*within, "route", "add", "default", "via", str(slot.gateway)])
        yield name
    finally:
        clear(slot)


def clear(slot: Slot) -> None:
    """Remove the interfaces and namespaces of a check, including an interrupted one."""
    name, link = _names(slot)
    if Path("/sys/class/net", link).exists():
        run(["ip", "link", "delete", link])
    if Path("/run/netns", name).exists():
        run(["ip", "netns", "delete", name])


def _names(slot: Slot) -> tuple[str, str]:
    return f"{slot.handle}-probe", f"{slot.handle}p"
