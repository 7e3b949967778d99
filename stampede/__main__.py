"""`python -m stampede` is the `stampede` command."""

from stampede.cli import main

main()
