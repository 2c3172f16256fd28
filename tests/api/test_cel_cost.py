"""Cost that the apiserver estimates for the CEL rules of the CRD; it refuses a CRD above a limit.

The apiserver reports its estimate only when the limit is exceeded. So spec and status of a copy are
values of maps with COPIES entries, which multiplies the estimate of every rule. The copy is sent as
a dry run, and is never stored.
"""

import re
from typing import Any

import pytest

from taskruns.api.crd import crd
from tests.support.cluster.client import DEFINITIONS, Kube, Refused

Object = dict[str, Any]

LIMIT = 100_000_000
"""The apiserver's limit for all rules of a CRD (StaticEstimatedCRDCostLimit)."""
COPIES = 20_000
RECORDED = 0.3285
"""Estimated cost of all rules, in percent of the limit; a status write costs time in proportion."""
TOTAL = re.compile(
    r"rule cost total for entire OpenAPIv3 schema exceeds budget by factor of ([\d.]+)x"
)


def multiplied(definition: Object) -> Object:
    """Return the CRD under another name, with spec and status in maps."""
    group = "cost.api-tests.dev"
    definition["metadata"]["name"] = f"costs.{group}"
    spec = definition["spec"]
    spec["group"] = group
    spec["names"] = {"plural": "costs", "kind": "Cost", "singular": "cost"}
    for version in spec["versions"]:
        properties = version["schema"]["openAPIV3Schema"]["properties"]
        for name in ("spec", "status"):
            properties[name] = {
                "type": "object",
                "additionalProperties": properties[name],
                "maxProperties": COPIES,
            }
    return definition


def test_the_estimated_cost_of_the_rules_is_as_recorded(kube: Kube) -> None:
    path = DEFINITIONS.path(None)
    with pytest.raises(Refused) as refused:
        kube._request("POST", path, {"dryRun": "All"}, multiplied(crd()))
    match = TOTAL.search(refused.value.sentence)
    assert match, refused.value.sentence
    percent = 100 * float(match[1]) / COPIES
    assert percent == pytest.approx(RECORDED, abs=0.0005)
