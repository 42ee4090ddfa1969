"""The command line: one module for each command, and the few things that several of them share."""
