"""A scripted model that answers open items in words: it knows from the images which item it is asked."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.open_rows import OpenItem
from pipeline.models.journal import Reply
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import ScriptedModel
from pipeline.releases.reading import Released

Say = Callable[[OpenItem], str]


class Speaker(ScriptedModel):
    """Answers multiple-choice items with A, and of an open item says what `say` gives for it."""

    def __init__(self, released: Released, say: Say) -> None:
        super().__init__()
        self._say, self.spoken = say, list[str]()
        found = open_items(released)
        self._items = {
            ((released.folder / one.frames[0]).read_bytes(), one.question): found.known[one.id]
            for one in found.questions
            if one.id in found.known
        }

    async def send(self, body: Mapping[str, Any]) -> Reply:
        content = body["messages"][-1]["content"]
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        text = "\n".join(part.get("text", "") for part in parts)
        images = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        if "code word" in text or "A. " in text:
            said = "A"
        elif not images:
            said = "<answer>I see nothing.</answer>"
        else:
            first = base64.b64decode(images[0].partition(",")[2])
            (item,) = (
                item
                for (jpeg, question), item in self._items.items()
                if jpeg == first and question in text
            )
            self.spoken.append(item.id)
            said = self._say(item)
        return Reply(said, None, "stop", "m-2026-01-01", 9, 9)


def settings(name: str = "m", **fields: Any) -> EvaluatedModel:
    """Return the settings of a model on a server that isn't there."""
    given = {"model": name, "base_url": "http://127.0.0.1:1/v1", "attempts": 1}
    return EvaluatedModel.model_validate(given | fields)
