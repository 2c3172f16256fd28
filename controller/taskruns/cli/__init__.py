"""The command line: `taskrun`, also `kubectl taskrun`."""
