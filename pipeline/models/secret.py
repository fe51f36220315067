"""The key to a server in texts: hidden in errors and logs, and never stored with a reply. Pure."""

import re
from collections.abc import Iterable

_LEAST = 12  # characters; a shorter key ("none", "test", "sk-1234") is also a word of ordinary text
_SHOWN = 8  # characters that servers show of a key before they mask the rest


class Secret:
    """A key; one that is too short to be a secret is neither hidden nor found."""

    def __init__(self, key: str) -> None:
        self._key = key if len(key) >= _LEAST else ""
        start, more = re.escape(key[:_SHOWN]), re.escape(key[_SHOWN:_LEAST])
        word = r"[^\s\"'<>,;(){}\[\]]*"
        self._shown = re.compile(
            rf"{re.escape(key)}|(?<![\w-]){start}(?:{more}{word}|[\w-]*(?:[*.•]{{2,}}|…){word})"
        )

    def hidden(self, text: str) -> str:
        """Return a text without the key, whole, cut or masked; for errors and logs, never for replies."""
        return self._shown.sub("[key]", text) if self._key else text

    def found_in(self, texts: Iterable[str | None]) -> bool:
        """Return whether the whole key is in one of these texts."""
        return bool(self._key) and any(self._key in text for text in texts if text)
