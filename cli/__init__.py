"""The command line: thin readers of the engine's decision."""
