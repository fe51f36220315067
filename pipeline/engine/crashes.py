"""`errors.log` of a workspace: the tracebacks of errors in units that nobody expected."""

from dataclasses import dataclass, field
from functools import cached_property

from pipeline import __version__
from pipeline.engine.lock import now
from pipeline.engine.stage import Unit
from pipeline.engine.store import Store
from pipeline.errors import RowError, masked, plain
from pipeline.sources.rows import Video

_MOST = 100  # tracebacks of one run of a stage: where every unit fails, the first ones tell enough


@dataclass
class Crashes:
    """The unexpected errors in one run of a stage."""

    stage: str
    store: Store
    count: int = field(default=0, init=False)

    def logged(self, unit: Unit, error: RowError) -> str:
        """Append an error's traceback to the log; return what happened, with the name of the file."""
        self.count += 1
        name = self._file(unit)
        if self.count <= _MOST:
            unit_and_file = " ".join(dict.fromkeys([plain(unit.label), plain(name)]))
            head = f"{now()} egost {__version__}: {self.stage}: {unit_and_file}"
            with self.store.folder.errors.open("a", encoding="utf-8", errors="replace") as file:
                file.write(f"{head.rstrip()}\n{masked(error.trace)}\n")
        what = masked(error.what)
        return f"{name}: {what}" if name and name != unit.label else what

    def _file(self, unit: Unit) -> str:
        """Return the path of the video that a unit is about; empty if it is about none or several."""
        rows = [row for rows in unit.rows.values() for row in rows]
        videos = {self._paths.get(str(getattr(row, "video_id", None)), "") for row in rows} - {""}
        return videos.pop() if len(videos) == 1 else ""

    @cached_property
    def _paths(self) -> dict[str, str]:
        return {video.video_id: video.path for video in self.store.each(Video)}

    def __str__(self) -> str:
        if not self.count:
            return ""
        are = "1 error was" if self.count == 1 else f"{self.count} errors were"
        return f"{are} unexpected: the traceback{'s are' if self.count > 1 else ' is'} in {self.store.folder.errors}"
