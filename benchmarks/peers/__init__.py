"""Those that are measured: each puts the same containers on a daemon, in its own way."""
