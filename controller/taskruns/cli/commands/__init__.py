"""The commands, a module each for those that have much in common. They import late."""
