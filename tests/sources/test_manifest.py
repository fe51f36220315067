import unicodedata
from pathlib import Path

import pytest

from pipeline.errors import MistakesError, UserError
from pipeline.sources.manifest import COLUMNS, read_manifest


def write(folder: Path, text: str | bytes) -> Path:
    (folder / "a.mp4").touch()
    (folder / "sub").mkdir()
    (folder / "sub" / "b, c.mp4").touch()
    raw = text if isinstance(text, bytes) else text.encode()
    (folder / "manifest.csv").write_bytes(raw)
    return folder


def test_no_manifest_gives_no_fields(tmp_path: Path) -> None:
    assert read_manifest(tmp_path) == {}


def test_all_columns_are_read_and_empty_cells_ignored(tmp_path: Path) -> None:
    row = "./a.mp4, office ,Ann,https://example.org,CC-BY-4.0,120.5,fisheye,test,release,270"
    text = f'\ufeff{",".join(COLUMNS)}\r\n{row}\r\n"sub/b, c.mp4",,,,,,,,,\r\n'
    found = read_manifest(write(tmp_path, text))
    assert {name: entry.line for name, entry in found.items()} == {"a.mp4": 2, "sub/b, c.mp4": 3}
    assert {name: entry.fields for name, entry in found.items()} == {
        "a.mp4": {
            "scene": "office",
            "wearer": "Ann",
            "source": "https://example.org",
            "licence": "CC-BY-4.0",
            "hfov_degrees": 120.5,
            "lens": "fisheye",
            "split": "test",
            "consent": "release",
            "rotation": 270,
        },
        "sub/b, c.mp4": {},
    }


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("", "line 1", "no column named path"),
        ("scene\noffice\n", "line 1", "no column named path"),
        ("path,scenes\na.mp4,x\n", "line 1", "unknown column 'scenes'"),
        ("path,scene,scene\na.mp4,x,y\n", "line 1", "column 'scene' occurs twice"),
        ("path,scene\na.mp4,x\nb.mp4,x\n", "line 3", "b.mp4 doesn't exist"),
        ("path,scene\na.mp4\n", "line 2", "the number of cells differs"),
        ("path,scene\na.mp4,x,y\n", "line 2", "the number of cells differs"),
        ("path\na.mp4\n./a.mp4\n", "line 3", "a.mp4 is listed twice"),
        ("path\n/etc/passwd\n", "line 2", "not a path inside this folder"),
        ("path\nsub/../../x\n", "line 2", "not a path inside this folder"),
        ('path\n"a\0.mp4"\n', "line 2", "not a path inside this folder"),
        ('path\n" "\n', "line 2", "no path"),
        (f"path\n{'x' * 5000}\n", "line 2", "not a path inside this folder"),
        ("path,lens\na.mp4,round\n", "line 2", "lens 'round'"),
        ("path,split\na.mp4,dev\n", "line 2", "split 'dev'"),
        ("path,consent\na.mp4,yes\n", "line 2", "consent 'yes'"),
        ("path,rotation\na.mp4,45\n", "line 2", "rotation '45'"),
        ("path,rotation\na.mp4,-90\n", "line 2", "rotation '-90'"),
        ("path,rotation\na.mp4,90.0\n", "line 2", "rotation '90.0'"),
        ("path,hfov_degrees\na.mp4,wide\n", "line 2", "hfov_degrees 'wide'"),
        ("path,hfov_degrees\na.mp4,nan\n", "line 2", "hfov_degrees 'nan'"),
        ("path,hfov_degrees\na.mp4,5\n", "line 2", "hfov_degrees '5'"),
        ("path,hfov_degrees,lens\na.mp4,170,rectilinear\n", "line 2", "with a rectilinear lens"),
        ("path;scene\na.mp4;x\n", "line 1", "separated by semicolons"),
        ("path\tscene\na.mp4\tx\n", "line 1", "separated by tabs"),
        ('path,scene\na.mp4,"x\n', "line 2", "not CSV"),
        (b"path,scene\na.mp4,\xff\n", "line 2", "not UTF-8"),
    ],
)
def test_a_mistake_is_reported_with_its_line(
    tmp_path: Path, text: str | bytes, where: str, what: str
) -> None:
    with pytest.raises(UserError) as told:
        read_manifest(write(tmp_path, text))
    assert where in told.value.where
    assert what in told.value.what
    assert told.value.fix


def test_a_link_out_of_the_folder_is_an_error(tmp_path: Path) -> None:
    folder, outside = tmp_path / "videos", tmp_path / "secret.mp4"
    folder.mkdir()
    outside.touch()
    (folder / "link.mp4").symlink_to(outside)
    write(folder, "path\nlink.mp4\n")
    with pytest.raises(UserError, match="not a path inside"):
        read_manifest(folder)


def test_all_mistakes_are_reported_at_once_with_their_lines(tmp_path: Path) -> None:
    lines = ["path,split,lens", "a.mp4,dev,round", "gone.mp4,,", "sub/../a.mp4,,", "sub/b,c.mp4,,"]
    with pytest.raises(MistakesError) as told:
        read_manifest(write(tmp_path, "\n".join(lines)))
    where = [error.where.rpartition(", line ")[2] for error in told.value.errors]
    assert where == ["2", "2", "3", "4", "5"]
    assert str(told.value).count("error: ") == str(told.value).count("  fix: ") == 5


def test_of_very_many_mistakes_the_first_are_reported(tmp_path: Path) -> None:
    text = "path\n" + "".join(f"{number}.mp4\n" for number in range(500))
    with pytest.raises(MistakesError, match="and 480 more"):
        read_manifest(write(tmp_path, text))


@pytest.mark.parametrize(
    ("there", "written"),
    [
        (unicodedata.normalize("NFD", "küche.mp4"), "küche.mp4"),
        ("küche.mp4", unicodedata.normalize("NFD", "küche.mp4")),
        ("kitchen/0001.mp4", "kitchen\\0001.mp4"),
        ("kitchen/0001.mp4", ".\\Kitchen\\0001.MP4"),
        ("a.MP4", "a.mp4"),
        ("a b.mp4", "a\u00a0b.mp4"),
        ("a b.mp4", "a%20b.mp4"),
        ("a b.mp4", " a b.mp4 "),
    ],
)
def test_a_path_in_another_spelling_is_the_file_that_is_there(
    tmp_path: Path, there: str, written: str
) -> None:
    (tmp_path / there).parent.mkdir(exist_ok=True)
    (tmp_path / there).touch()
    (tmp_path / "manifest.csv").write_text(f"path,scene\n{written},x\n", encoding="utf-8")
    assert {name: one.fields for name, one in read_manifest(tmp_path).items()} == {
        there: {"scene": "x"}
    }


def test_an_exact_path_comes_before_another_spelling(tmp_path: Path) -> None:
    for name in ("a.mp4", "A.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.csv").write_text("path\nA.mp4\na.mp4\n")
    assert set(read_manifest(tmp_path)) == {"a.mp4", "A.mp4"}
    (tmp_path / "manifest.csv").write_text("path\nA.MP4\n")
    with pytest.raises(UserError, match=r"may be .*a\.mp4") as told:
        read_manifest(tmp_path)
    assert "A.mp4" in told.value.what


@pytest.mark.parametrize(
    ("written", "fix"),
    [
        ("a.mov", "write a.mp4, if that is meant"),
        ("kitchen/b.mp4", "write sub/b.mp4, if that is meant"),
        ("C:\\videos\\sub\\b.mp4", "write sub/b.mp4, if that is meant"),
        ("/videos/sub/b.mp4", "write sub/b.mp4, if that is meant"),
        ("x.mp4", "fix the path, or delete the line"),
    ],
)
def test_the_likely_file_is_named(tmp_path: Path, written: str, fix: str) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.mp4", "sub/b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "manifest.csv").write_text(f"path\n{written}\n")
    with pytest.raises(UserError) as told:
        read_manifest(tmp_path)
    assert told.value.fix == fix


def test_two_spellings_of_one_file_are_two_lines_about_it(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    (tmp_path / "manifest.csv").write_text("path\na.mp4\nA.MP4\n")
    with pytest.raises(UserError, match=r"a\.mp4 is listed twice, first on line 2"):
        read_manifest(tmp_path)
