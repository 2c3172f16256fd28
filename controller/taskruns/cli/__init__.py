"""The command line `taskrun`, which is also the kubectl plugin `kubectl taskrun`."""
