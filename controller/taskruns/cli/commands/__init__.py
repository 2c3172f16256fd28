"""The commands, grouped in modules. Each imports its dependencies when it runs."""
