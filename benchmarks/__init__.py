"""What is measured on a real cluster: each module is a command of its own."""
