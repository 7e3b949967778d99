"""The recovery key as people keep it: nine groups of four, the last one a checksum, no letters that look alike.

160 random bits in Crockford's base 32. Case, spaces and dashes do not matter; O is read as 0, I and L as 1.
"""

from __future__ import annotations

import secrets

from blake3 import blake3

from stampede.errors import BadInput

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOK_ALIKE = str.maketrans("OIL", "011", "- \n\r\t")
_BYTES = 20
_CHECK_DIGITS = 4
_LENGTH = _BYTES * 8 // 5 + _CHECK_DIGITS


def new_recovery_key() -> str:
    return printed(secrets.token_bytes(_BYTES))


def printed(secret: bytes) -> str:
    text = _base32(int.from_bytes(secret, "big"), _BYTES * 8 // 5) + _check(secret)
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def secret_of(text: str) -> bytes:
    """What a printed recovery key stands for. Raises: BadInput if it was mistyped."""
    digits = text.upper().translate(_LOOK_ALIKE)
    if len(digits) != _LENGTH or any(digit not in _DIGITS for digit in digits):
        raise BadInput("this is no recovery key", f"it has {_LENGTH // 4} groups of four letters and digits")
    number = 0
    for digit in digits[:-_CHECK_DIGITS]:
        number = number * 32 + _DIGITS.index(digit)
    secret = number.to_bytes(_BYTES, "big")
    if _check(secret) != digits[-_CHECK_DIGITS:]:
        raise BadInput("this recovery key was mistyped", "compare it group by group with the one that was printed")
    return secret


def _check(secret: bytes) -> str:
    return _base32(int.from_bytes(blake3(secret).digest(3), "big") >> 4, _CHECK_DIGITS)


def _base32(number: int, length: int) -> str:
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(length)))
