"""Which release of Bayplan this is: said here, and read from here by the build, the metrics and the commands."""

VERSION = "0.1.0"
