"""Numbers that nobody can foresee without the workspace's secret. Pure."""

from hashlib import sha256

_BLOCK = 64  # bytes, of SHA-256


class Draw:
    """HMAC-SHA256, under the secret, of what a number is drawn for."""

    def __init__(self, secret: bytes) -> None:
        """Prepare to draw under this secret, of any length."""
        # Copies of the two keyed hashers take a third of the time of hmac.digest; items need five draws each.
        key = (secret if len(secret) <= _BLOCK else sha256(secret).digest()).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in key))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in key))

    def __call__(self, *parts: str) -> int:
        """Return a number below 2**64 for these texts; it is the same each time."""
        inner, outer = self._inner.copy(), self._outer.copy()
        # A length before each part, so that parts can't run into one another.
        inner.update("".join([f"{len(part)}:{part}" for part in parts]).encode())
        outer.update(inner.digest())
        return int.from_bytes(outer.digest()[:8], "big")
