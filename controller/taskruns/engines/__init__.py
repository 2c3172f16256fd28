"""The edge to what really runs containers: one port, one interpreter of plans, several engines."""
