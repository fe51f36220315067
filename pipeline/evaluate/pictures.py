"""The images that a model is sent: a release's frames as they are, grey ones of the same size, or smaller copies."""

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path

from pipeline.errors import UserError
from pipeline.models.chat import PromptImage

_GREY = 127
_QUALITY = 85
_KEPT = 256  # frames: those of one span, which all its items and arms share


class Pictures:
    """The frames of one release, each read and measured once while its items are asked."""

    def __init__(self, release: Path, longest: int | None = None) -> None:
        """Take a release's folder; with `longest`, frames are scaled down to this many pixels on their longer side."""
        self._release, self._longest = release, longest
        self._frame = lru_cache(_KEPT)(self._read)

    def frames(self, names: Sequence[str]) -> list[PromptImage]:
        """Return frames by their names in the release; raise UserError for one that is missing or damaged."""
        return [self._frame(name) for name in names]

    def grey(self, names: Sequence[str]) -> list[PromptImage]:
        """Return a grey image of the size of each of these frames."""
        return [_grey(one.width, one.height) for one in self.frames(names)]

    def _read(self, name: str) -> PromptImage:
        from PIL import Image

        path = self._release / name
        try:
            data = path.read_bytes()
            with Image.open(BytesIO(data), formats=["JPEG"]) as image:  # reads the header alone
                width, height = image.size
        except FileNotFoundError as error:
            raise UserError(
                str(path),
                "is missing",
                f"egost release hydrate {self._release} VIDEOS, if a licence kept its frames out; or get a new copy",
            ) from error
        except (OSError, SyntaxError) as error:
            raise UserError(
                str(path), f"is no JPEG: {error}", f"egost verify {self._release}"
            ) from error
        if self._longest is None or max(width, height) <= self._longest:
            return PromptImage(data, width, height)
        return _scaled(data, self._longest / max(width, height))


def _scaled(data: bytes, by: float) -> PromptImage:
    import cv2
    import numpy as np

    whole = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if whole is None:
        raise UserError("image", "can't be decoded", "egost verify RELEASE")
    small = cv2.resize(whole, None, fx=by, fy=by, interpolation=cv2.INTER_AREA)
    return _encoded(small)


@lru_cache
def _grey(width: int, height: int) -> PromptImage:
    import numpy as np

    return _encoded(np.full((height, width, 3), _GREY, np.uint8))


def _encoded(pixels: "object") -> PromptImage:
    import cv2
    import numpy as np

    image = np.asarray(pixels)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return PromptImage(data.tobytes(), image.shape[1], image.shape[0])
