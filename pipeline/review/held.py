"""Which units keep their rows because people have judged them, until the user asks for a redraft."""

from pipeline.engine.store import Store
from pipeline.questions.rows import Item
from pipeline.review.rows import Answer, Verdict
from pipeline.routes.rows import Route


def judged_drafts(store: Store) -> set[str]:
    """Return the ids of the clips whose current draft people have judged, or an item of which they audited."""
    given = {(one.clip_id, one.fingerprint) for one in store.rows(Verdict) if one.worked}
    drafts = store.rows(Route, ["draft"])
    judged = {one.clip_id for one in drafts if (one.clip_id, one.fingerprint) in given}
    return judged | {item.clip_id for item in _audited(store)}


def audited_by_model(store: Store) -> set[str]:
    """Return the ids of the clips with a model-written item that people have audited in its current form."""
    return {item.clip_id for item in _audited(store) if item.option_kind == "model"}


def _audited(store: Store) -> list[Item]:
    given = {(one.item_id, one.fingerprint) for one in store.rows(Answer)}
    items = store.rows(Item) if given else []
    return [item for item in items if (item.item_id, item.fingerprint) in given]
