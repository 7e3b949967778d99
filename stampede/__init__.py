"""Stampede: containers and machines on your own hosts, as Prefect flows."""

__version__ = "0.1.0"
