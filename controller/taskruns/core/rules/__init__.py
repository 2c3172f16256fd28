"""The rules of each situation, in tuples in the order in which they are evaluated.

A rule is a function from a situation to a Plan, or to None if it does not apply; the first rule
that returns a plan decides. The first line of a rule's docstring is its label in the figure of
docs/architecture.md.
"""
