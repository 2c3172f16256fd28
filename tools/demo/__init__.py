"""The demos: taskruns on a new cluster, and on plain Docker."""
