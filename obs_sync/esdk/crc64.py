"""CRC-64 as OBS announces it if the sender asked for one: ECMA-182 polynomial, reflected, both ends inverted.

The C code of crcmod, which the OBS SDK requires, computes 200 MB/s or more. Without that C code it would be 7 MB/s, so
nothing is computed, and objects without another digest are not checked.
"""
from __future__ import annotations

from typing import Any, Optional

_POLYNOMIAL = 0x142F0E1EBA9EA3693
_ALL_ONES = 0xFFFFFFFFFFFFFFFF


class Crc64:
    """Like a hash of hashlib, except that its digest is a decimal number, as in the headers of OBS."""

    name = "crc64"

    def __init__(self) -> None:
        import crcmod
        self._crc = crcmod.Crc(_POLYNOMIAL, initCrc=0, rev=True, xorOut=_ALL_ONES)

    def update(self, data: Any) -> None:
        self._crc.update(bytes(data))

    def hexdigest(self) -> str:
        return str(self._crc.crcValue)


def new_crc64() -> Optional[Crc64]:
    """None if it cannot be computed fast."""
    try:
        import crcmod._crcfunext  # noqa: F401  (crcmod uses it if it exists)
    except ImportError:
        return None
    return Crc64()
