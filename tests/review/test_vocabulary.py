from pathlib import Path

import factories
import pytest

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.review.agreement import agreement
from pipeline.review.facts import facts_of
from pipeline.review.rows import Verdict
from pipeline.review.vocabulary import (
    Synonyms,
    missing_synonyms,
    propose,
    read_vocabulary,
    vocabulary_of,
    vocabulary_path,
)
from pipeline.routes.rows import Step


def verdict(who: str, landmark: str, move: str = "left") -> Verdict:
    step = Step.model_validate({"start_us": 0, "end_us": 5, "move": move, "landmark": landmark})
    return factories.verdict(factories.route(), annotator=who, annotation_id=who, steps=[step])


def file(folder: Path, *lines: str) -> Path:
    path = folder / "vocabulary.csv"
    path.write_text("\n".join(("kind,said,name", *lines)))
    return path


def test_the_vocabulary_in_the_package_can_be_read():
    assert read_vocabulary(asset("annotations/vocabulary.csv"))["landmark", "the sofa"]


def test_synonyms_agree(tmp_path: Path):
    known = read_vocabulary(file(tmp_path, "landmark,The sofa,the couch."))
    both = [verdict("a", "the Sofa"), verdict("b", "the couch")]
    assert agreement(both, facts_of({}))["landmark"].percent == 0
    assert agreement(both, facts_of(known))["landmark"].percent == 1


def test_different_names_of_one_step_are_proposed_until_they_are_known(tmp_path: Path):
    said = [
        verdict("a", "the sofa"),
        verdict("b", "the couch"),
        verdict("c", "the settee", "right"),
    ]
    (found,) = missing_synonyms(said, {})
    assert (str(found), found.times) == ("landmark,the couch,the sofa", 1)
    assert missing_synonyms(said, read_vocabulary(file(tmp_path, str(found)))) == []


def test_only_the_newest_verdict_of_each_person_proposes_names():
    newer, older = verdict("b", "the couch"), verdict("b", "the settee")
    newer = newer.model_copy(update={"created_us": 9, "annotation_id": "newer"})
    (found,) = missing_synonyms([verdict("a", "the sofa"), newer, older], {})
    assert str(found) == "landmark,the couch,the sofa"


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["thing,a,b"], ":2", "expected landmark or action"),
        (["landmark,a"], ":2", "two texts"),
        (["landmark,a,b", "", "landmark,A.,c"], ":4", "an earlier line gives 'a' another name"),
        (
            ["landmark,a,b", "landmark,b,c"],
            "",
            "is used as a canonical name, but has another name itself",
        ),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, lines, where, what):
    path = file(tmp_path, *lines)
    with pytest.raises(UserError, match=what) as caught:
        read_vocabulary(path)
    assert caught.value.where == f"{path}{where}"


def test_other_columns_are_refused(tmp_path: Path):
    path = tmp_path / "vocabulary.csv"
    path.write_text("from,to\na,b\n")
    with pytest.raises(UserError, match="the first line is not kind,said,name"):
        read_vocabulary(path)


def test_proposed_pairs_count_once_somebody_uncomments_them(
    folder: WorkspaceFolder,
):
    path = vocabulary_path(folder, "")
    assert path == folder.root / "vocabulary.csv"
    pairs = [
        Synonyms("landmark", "the bin, a red one", "the basket", 2),
        Synonyms("action", "opens it", "pulls it", 1),
    ]
    assert propose(path, pairs) == 2
    assert vocabulary_of(folder, "") == read_vocabulary(asset("annotations/vocabulary.csv"))
    with path.open("a") as file:
        file.write("landmark,the settee,the couch")
    assert propose(path, [*pairs, Synonyms("action", "pulls it", "opens it", 1)]) == 0
    assert propose(path, [Synonyms("action", "shuts it", "closes it", 1)]) == 1
    text = path.read_text()
    assert text.splitlines() == [
        "kind,said,name",
        '# landmark,"the bin, a red one",the basket',
        "# action,opens it,pulls it",
        "landmark,the settee,the couch",
        "# action,shuts it,closes it",
    ]
    path.write_text(text.replace("# landmark", "landmark"))
    known = vocabulary_of(folder, "")
    assert known["landmark", "the bin, a red one"] == "the basket"
    assert known["landmark", "the sofa"] == known["landmark", "the settee"] == "the couch"


def test_a_workspaces_name_that_has_another_name_in_the_package_is_refused(folder: WorkspaceFolder):
    vocabulary_path(folder, "").write_text("kind,said,name\nlandmark,the settee,the sofa\n")
    with pytest.raises(
        UserError, match="'the sofa' is used as a canonical name, but has another name itself"
    ):
        vocabulary_of(folder, "")
