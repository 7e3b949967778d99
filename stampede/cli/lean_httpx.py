"""Importing this module imports httpx without its own command line, which would cost us 0.2 s for rich and pygments.

httpx itself foresees that its command line cannot be imported, and goes on without.
"""

from __future__ import annotations

import sys

if "httpx" not in sys.modules:
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    import httpx  # noqa: F401

    del sys.modules["httpx._main"]
