"""What is done in each situation: one module a situation, its rules in the order they are asked.

A rule is a function from a situation to a Plan, or to None when it has nothing to say; the first
that answers decides. Its docstring's first line is its name in the documentation's figure.
"""
