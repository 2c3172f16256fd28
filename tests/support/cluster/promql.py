"""What a PromQL expression asks for, by the grammar of Prometheus itself."""

from collections.abc import Iterator

import promql_parser

GRAFANAS = {"$__rate_interval": "5m", "$__range": "1h", "$job": ".+"}
"""Grafana's variables in the dashboard, and what one value of each may be."""


def filled(expression: str) -> str:
    """The expression as Grafana would send it."""
    for variable, value in GRAFANAS.items():
        expression = expression.replace(variable, value)
    return expression


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Yield each metric that is asked for, with the labels that narrow it.

    Raises:
        ValueError: it is no PromQL.
    """
    found: list[tuple[str, set[str]]] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            found.append((node.name or "", {matcher.name for matcher in node.matchers.matchers}))
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    yield from found


def groupings(expression: str) -> set[str]:
    """The labels that the expression sums by."""
    found: set[str] = set()

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            found.update(node.modifier.labels)
        return True

    promql_parser.walk(promql_parser.parse(expression), visit)
    return found
