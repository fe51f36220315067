"""A project is known by its id and its mark; what people do to it on the server loses nothing."""

from dataclasses import replace
from pathlib import Path

import pytest
from walked import clip, draft, project_id, rows, steps

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.errors import UserError
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.review import review
from pipeline.review.settings import ReviewSettings

SETTINGS = ReviewSettings(agree=1, overlap=1, planted=0)
WALK = steps("straight", "left", "straight")


class Desk:
    """A workspace that sends its clip to a server, which others use as well."""

    def __init__(self, root: Path, client: ScriptedClient, name: str = "walk") -> None:
        self.folder, self.client = WorkspaceFolder(root / "workspace"), client
        self.folder.media.mkdir(parents=True)
        self.seen: Rows = rows(self.folder, root, [draft(clip(name), WALK)], [name])

    def push(self, settings: ReviewSettings = SETTINGS) -> int:
        return review.push(self.client, self.seen, settings, self.folder).new

    def pulled(self, settings: ReviewSettings = SETTINGS) -> int:
        return len(list(review.pull(self.client, (), settings, self.folder)))

    def change(self, number: int, **fields: str) -> None:
        self.client.made[number] = replace(self.client.made[number], **fields)

    def accept(self, task: int = 1) -> None:
        given = [{"from_name": "verdict", "value": {"choices": ["accept"]}}]
        self.client.answer(task, given)


@pytest.fixture
def client() -> ScriptedClient:
    return ScriptedClient()


@pytest.fixture
def desk(tmp_path: Path, client: ScriptedClient) -> Desk:
    made = Desk(tmp_path / "one", client)
    made.push()
    made.accept()
    return made


@pytest.fixture
def other(tmp_path: Path, client: ScriptedClient, desk: Desk) -> Desk:
    return Desk(tmp_path / "two", client, "run")


def unmarked(desk: Desk) -> None:
    """Make everything as an older version left it."""
    for number in desk.client.made:
        desk.change(number, description="")
    (desk.folder.root / "projects.json").unlink()


@pytest.mark.parametrize("title", ["Kitchen study", "egost routes gold"])
def test_a_renamed_project_is_found_and_keeps_its_name(desk: Desk, title: str):
    desk.change(1, title=title)
    assert (desk.pulled(), desk.push()) == (1, 0)
    assert [one.title for one in desk.client.projects()] == [title]


def test_the_mark_alone_is_enough(desk: Desk):
    desk.change(1, title="Kitchen study")
    (desk.folder.root / "projects.json").unlink()
    assert (desk.pulled(), desk.push(), len(desk.client.made)) == (1, 0, 1)
    (desk.folder.root / "projects.json").write_text("{")
    assert (desk.pulled(), desk.push(), len(desk.client.made)) == (1, 0, 1)


def test_the_id_alone_is_enough_and_the_mark_comes_back(desk: Desk):
    mark = desk.client.made[1].description
    desk.change(1, title="Kitchen study", description="About kitchens.")
    assert (desk.pulled(), desk.push(), len(desk.client.made)) == (1, 0, 1)
    assert desk.client.made[1].description == f"About kitchens.\n{mark}"


@pytest.mark.parametrize("title", ["egost routes", "Kitchen study"])
def test_a_project_of_an_older_version_is_adopted_once(desk: Desk, title: str):
    mark = desk.client.made[1].description
    unmarked(desk)
    desk.change(1, title=title)
    assert (desk.pulled(), desk.push(), len(desk.client.made)) == (1, 0, 1)
    assert desk.client.made[1].description == mark


def test_status_finds_a_project_of_an_older_version_and_changes_nothing(desk: Desk):
    unmarked(desk)
    desk.change(1, title="Kitchen study")
    before, files = dict(desk.client.made), sorted(desk.folder.root.rglob("*"))
    assert review.status(desk.client, SETTINGS, desk.folder).done == 1
    assert list(review.outside(desk.client, SETTINGS, desk.folder)) == []
    assert (desk.client.made, sorted(desk.folder.root.rglob("*"))) == (before, files)


def test_a_project_made_because_the_first_was_renamed_does_not_hide_the_first(desk: Desk):
    desk.change(1, title="Kitchen study", description="")
    number = desk.client.create("egost routes", "", desk.client.made[1].config, 1)
    desk.client.kept[2] = replace(desk.client.kept[1], id=2)
    desk.client.home[2] = number
    desk.accept(2)
    (desk.folder.root / "projects.json").unlink()
    assert (desk.pulled(), desk.push(), len(desk.client.made)) == (2, 0, 2)


def test_a_setting_changed_to_the_new_name_means_the_same_project(desk: Desk):
    desk.change(1, title="Kitchen study")
    settings = SETTINGS.model_copy(update={"project": "Kitchen study"})
    assert (desk.pulled(settings), desk.push(settings), len(desk.client.made)) == (1, 0, 1)


def test_another_title_is_another_project(desk: Desk):
    settings = SETTINGS.model_copy(update={"project": "Second study"})
    assert desk.push(settings) == 1
    assert desk.pulled(settings) == 0
    assert [one.title for one in desk.client.projects()] == ["egost routes", "Second study"]


def test_another_workspaces_project_is_refused(desk: Desk, other: Desk):
    for use in (other.push, other.pulled):
        with pytest.raises(UserError, match="belongs to another workspace") as caught:
            use()
        assert "review.project" in caught.value.fix
    assert other.push(SETTINGS.model_copy(update={"project": "Second study"})) == 1
    assert desk.pulled() == 1


def test_somebodys_project_of_this_title_is_refused_and_left_as_it_is(tmp_path: Path):
    client = ScriptedClient()
    number = client.create("egost routes", "mine", "<View/>", 1)
    client.add(number, [b'{"text": "a", "round": "first"}'])
    with pytest.raises(UserError, match="isn't this workspace's"):
        Desk(tmp_path, client).push()
    assert (client.made[number].config, client.made[number].description) == ("<View/>", "mine")


def test_an_empty_project_of_this_title_is_used(tmp_path: Path):
    client = ScriptedClient()
    number = client.create("egost routes", "mine", "<View/>", 1)
    assert Desk(tmp_path, client).push() == 1
    assert client.made[number].description.startswith("mine\negost workspace ")
    assert len(client.made) == 1


def test_two_workspaces_that_shared_a_project_keep_their_verdicts(desk: Desk, other: Desk):
    settings = SETTINGS.model_copy(update={"project": "Second study"})
    other.push(settings)
    other.accept(2)
    desk.client.home[2] = 1
    del desk.client.made[2]
    unmarked(desk)
    (other.folder.root / "projects.json").unlink()
    # Foreign annotations are yielded too, as such.
    for one in (desk, other):
        assert (one.pulled(), one.push(), len(one.client.made)) == (2, 0, 1)
    assert desk.client.made[1].description.count("egost workspace") == 2


def test_a_copy_of_a_project_gets_no_tasks_but_its_verdicts_are_pulled(desk: Desk):
    copy = desk.client.create("egost routes copy", desk.client.made[1].description, "$frames", 1)
    desk.client.kept[2] = replace(desk.client.kept[1], id=2)
    desk.client.home[2] = copy
    desk.accept(2)
    assert (desk.pulled(), desk.push()) == (2, 0)
    (line,) = review.outside(desk.client, SETTINGS, desk.folder)
    assert "'egost routes copy'" in line
    assert project_id(desk.client, "egost routes") == 1


def test_a_deleted_project_is_made_again(desk: Desk):
    desk.client.made.clear()
    desk.client.kept.clear()
    with pytest.raises(UserError, match="no project 'egost routes'") as caught:
        desk.pulled()
    assert "egost review push" in caught.value.fix
    assert desk.push() == 1


def test_a_copied_workspace_uses_the_same_project(desk: Desk, tmp_path: Path):
    copy = Desk(tmp_path / "copy", desk.client)
    for name in ("secret", "projects.json"):
        (copy.folder.root / name).write_bytes((desk.folder.root / name).read_bytes())
    assert (copy.pulled(), copy.push(), len(copy.client.made)) == (1, 0, 1)
