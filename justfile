# Shortcuts; each is one of the scripts in scripts/.
default:
    @just --list

# Make this machine ready (Debian packages, .venv, dockerd)
install:
    scripts/install --dev

# All checks and tests; arguments go to pytest
test *arguments:
    scripts/test {{arguments}}

# Only what needs no daemon
quick:
    .venv/bin/ruff check .
    .venv/bin/pytest -q -m "not functional and not slow and not benchmark"

# Deploy, scale, update and roll back examples/shop under load
demo:
    scripts/demo

# Write the lock files anew
lock:
    scripts/lock
