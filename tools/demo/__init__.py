"""The demonstration: a cluster, taskruns on it, and tasks followed to their end."""
