"""The audit names what leaks, why an item can be guessed and what would remain; samples are reported."""

import json
import random
import re
import unicodedata
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import blind_items as made
import blind_planted as planted
import pytest

from pipeline.blind.audit import Audit, audit, explained
from pipeline.blind.causes import causes_of, tables_of
from pipeline.blind.cells import ENOUGH_CLIPS
from pipeline.blind.explain import choices, lines
from pipeline.blind.files import read_benchmark
from pipeline.blind.items import blind_report
from pipeline.blind.lookups import columns
from pipeline.blind.probe import probe
from pipeline.blind.removal import remaining
from pipeline.blind.sheet import lay_out, take
from pipeline.report.blindpage import render


@pytest.fixture(scope="module")
def worded() -> Audit:
    return audit(planted.worded(400))


def test_a_planted_word_is_named(worded: Audit) -> None:
    first = worded.causes[0]
    assert (first.kind, first.cell.verdict) == ("words", "leak")
    assert first.tells[0].what == '"avoid"'
    assert (first.tells[0].right, first.tells[0].items) == (0, 400)
    assert first.tells[0].expected == pytest.approx(300)
    assert "alone" in first.cell.reader
    assert '"avoid": has the answer in 0 of 400 items' in str(worded)


def test_each_guessable_item_has_the_word_as_its_reason(worded: Audit) -> None:
    assert len(worded.guessable) == 50
    strongest = []
    for one in worded.guessable:
        assert '"avoid"' in one.reasons[0]
        (answer,) = (option for option in one.options if option.answer)
        assert "avoid" not in answer.text
        strongest += [
            max(option.words, key=lambda word: abs(word.value))
            for option in one.options
            if not option.answer
        ]
    # In one option, another word stands twice.
    assert sum(word.what == "avoid" for word in strongest) >= len(strongest) - 2
    assert all(word.value < 0 for word in strongest if word.what == "avoid")
    margins = [one.margin for one in worded.guessable]
    assert margins == sorted(margins, reverse=True)


def test_a_planted_length_is_named() -> None:
    found = audit(planted.longest(400))
    first = found.causes[0]
    assert (first.kind, first.cell.verdict) == ("length", "leak")
    assert first.cell.figure.accuracy > 0.65
    tells = {tell.what: tell for tell in first.tells}
    assert tells["the longest option"].right > 0.65 * 400
    assert tells["the longest option"].expected < 110


def test_planted_letters_are_named() -> None:
    items = made.with_letters(planted.worded(400, share=0), [2] * 300 + [0, 1, 3, 2] * 25)
    random.Random(1).shuffle(items)
    first = audit(items).causes[0]
    assert (first.kind, first.cell.verdict) == ("letters", "leak")
    assert {tell.what: tell.right for tell in first.tells}["option C"] == 325


def test_a_planted_structure_is_named() -> None:
    found = audit(made.single_edits(300))
    leaking = {cause.kind: cause for cause in found.causes if cause.cell.leaks}
    assert leaking["structure"].cell.figure.accuracy == 1
    assert "similar to the others" in leaking["structure"].cell.reader
    assert leaking["structure"].examples


def test_a_planted_scene_leak_is_named() -> None:
    found = audit(made.usual_statements(500))
    leaking = [cause for cause in found.causes if cause.cell.leaks]
    assert "scenes" in {cause.kind for cause in leaking}
    assert not {"letters", "length"} & {cause.kind for cause in leaking}


def leaks_of(found: Audit) -> dict[str, str]:
    """Return the readers of the causes that leak, by kind, the first cause first."""
    return {one.kind: one.cell.reader for one in found.causes if one.cell.leaks}


def test_words_of_file_names_are_not_a_matter_of_length() -> None:
    items = [
        replace(item, columns={"video": f"{item.options[item.answer]} {at}.mp4"})
        for at, item in enumerate(planted.worded(300, share=0))
    ]
    found = audit(items)
    assert leaks_of(found)["names"] == "file names: most words of video"
    assert not any(
        reader.startswith("file names")
        for kind, reader in leaks_of(found).items()
        if kind != "names"
    )
    assert found.causes[0].kind == "names"
    assert "opaque names" in str(found.causes[0].to_json()["advice"])


def test_words_that_the_question_shares_with_the_answer_are_words() -> None:
    items = [
        replace(item, question=f"When does C {item.options[item.answer].partition(',')[0]}?")
        for item in planted.worded(300, share=0)
    ]
    first = audit(items).causes[0]
    assert (first.kind, first.cell.reader) == ("words", "file names: most words of question")


ODD = [
    ("{} ", "a space at the end"),
    ("{}\u00a0", "a space at the end"),
    (" {}", "odd spaces or invisible characters"),
    ("{}\u200b", "odd spaces or invisible characters"),
    ("a\u00a0{}", "odd spaces or invisible characters"),
    ("l\u0430 {}", "unusual characters, such as U+0430 CYRILLIC SMALL LETTER A"),
    ("\u0430 {}", "unusual characters, such as U+0430 CYRILLIC SMALL LETTER A"),
    ("cafe\u0301 {}", "unusual characters, such as U+0301 COMBINING ACUTE ACCENT"),
    ("\ufb01n {}", "unusual characters, such as U+FB01 LATIN SMALL LIGATURE FI"),
    ("it\u2019s {}", "curly quotes, long dashes or the like"),
]


@pytest.mark.parametrize(
    ("written", "what", "inside"),
    [(*one, False) for one in ODD] + [(*one, True) for one in (*ODD[:2], *ODD[4:6])],
)
def test_odd_characters_in_the_answer_are_named(
    tmp_path: Path, written: str, what: str, inside: bool
) -> None:
    usual = {"cafe\u0301 {}": "caf\u00e9 {}", "it\u2019s {}": "it's {}"}
    usual |= {name: unicodedata.normalize("NFKC", name).replace("\u0430", "a") for name in (
        "a\u00a0{}", "l\u0430 {}", "\u0430 {}", "\ufb01n {}")}  # fmt: skip
    rows = [
        {
            "id": item.id,
            "video": item.clip,
            "question": item.question,
            "answer": "ABCD"[item.answer],
        }
        | {
            "options": [
                f"{letter}. "
                + (written if at == item.answer else usual.get(written, "{}")).format(text)
                for at, (letter, text) in enumerate(zip("ABCD", item.options, strict=True))
            ]
        }
        for item in planted.worded(200, share=0)
    ]
    if inside:
        for row in rows:
            row["question"] = "\n".join([row["question"], *row.pop("options")])
    file = tmp_path / "items.json"
    file.write_text(json.dumps(rows))
    items = read_benchmark(file).items
    assert all(text == text.strip() for item in items for text in item.options)
    probed = probe(items, quick=True)
    assert probed.report.state() == "failed"
    words = {cause.kind: cause for cause in causes_of(probed, 0.05)}["words"]
    assert words.cell.figure.accuracy > 0.95
    assert what in [tell.what for tell in words.tells]


def test_a_column_that_is_the_answer_is_a_leak_and_others_are_reported(tmp_path: Path) -> None:
    rows = [
        {"id": item.id, "video": item.clip, "question": item.question, "options": item.options}
        | {"answer": "ABCD"[item.answer], "why": f"Asked: {item.question}", "frames": [1, 2]}
        | {"target_object": item.options[item.answer], "meta": {"k": item.answer, "gt": "x"}}
        for item in planted.worded(200, share=0)
    ]
    file = tmp_path / "items.json"
    file.write_text(json.dumps(rows))
    benchmark = read_benchmark(file)
    assert list(benchmark.notes())[1] == (
        "columns not used to predict answers: why (contains the question); frames (lists or objects); "
        "meta.gt (named as if written by someone who knows the answer)"
    )
    table = lay_out(benchmark.items, 0)
    right = {one.name: table.hits(one.scores).mean() for one in columns(table)}
    assert right["target_object tells the answer"] == 1
    assert right["letter given meta.k"] == 1


def test_of_options_that_are_always_the_same_the_longest_is_a_word() -> None:
    rng = random.Random(4)
    items = []
    for item in planted.worded(500, share=0):
        asks = rng.choice(("Is there a", "Does C touch the"))
        no = (rng.random() < 0.8) == (asks == "Is there a")
        question = f"{asks} {item.options[0]}?"
        items.append(replace(item, question=question, options=("Yes", "No"), answer=int(no)))
    first, *_ = leaks = leaks_of(audit(items))
    assert first in ("letters", "words")
    assert "length" not in leaks


def test_wrong_options_in_alphabetical_order_are_to_be_reshuffled() -> None:
    items = []
    for item in planted.worded(500, share=0):
        answer = item.options[item.answer]
        rest = sorted({*item.options} - {answer})
        options = (*rest[: item.answer], answer, *rest[item.answer :])
        items.append(replace(item, options=options))
    first = audit(items).causes[0]
    assert (first.kind, first.cell.verdict) == ("order", "leak")
    assert str(first.to_json()["advice"]).startswith("Reshuffle")


def test_causes_and_tables_name_no_leak_where_the_report_found_none() -> None:
    """Each of them is a figure of its own, and may be off chance where the report as a whole isn't."""
    probed = probe(planted.worded(400))
    assert any(cause.cell.leaks for cause in causes_of(probed, 0.05))
    assert any(one.leaks for cells in tables_of(probed, 0.05).values() for one in cells)
    few = replace(probed.report.best.overall, clips=ENOUGH_CLIPS - 1)
    report = replace(probed.report, best=replace(probed.report.best, overall=few))
    assert report.state() == "unproven"
    unproven = replace(probed, report=report)
    assert not any(cause.cell.leaks for cause in causes_of(unproven, 0.05))
    assert not any(one.leaks for cells in tables_of(unproven, 0.05).values() for one in cells)


def test_fair_items_have_no_cause_and_all_remain() -> None:
    found = audit(made.composed(80))
    assert [cause.kind for cause in found.causes if cause.cell.leaks] == []
    assert {cell.verdict for cells in found.tables.values() for cell in cells} <= {
        "no leak found",
        "too few to tell",
    }
    assert found.headline().endswith(
        "Verdict: unproven (no leak found, but too little to rule one out)."
    )
    assert found.remaining
    assert found.remaining.removed == ()


def test_the_headline_gives_figure_interval_chance_and_verdict(worded: Audit) -> None:
    assert worded.headline() == (
        "Without frames, a reader answers 100.0% of 400 items right (95% interval 100.0% to 100.0%); "
        "chance is 25.0%. Verdict: failed (it leaks)."
    )
    assert str(worded).splitlines()[0] == worded.headline()
    assert str(worded).splitlines()[-1] == worded.report.verdict()


def test_figures_are_given_by_task_and_scene_size(worded: Audit) -> None:
    assert [cell.name for cell in worded.tables["task"]] in (["t0", "t1"], ["t1", "t0"])
    assert "scene size" not in worded.tables  # all scenes have four items
    items = [
        replace(item, group=f"big{at % 3}") if at < 60 else item
        for at, item in enumerate(planted.worded(200, share=0))
    ]
    sizes = audit(items).tables["scene size"]
    assert {cell.name: cell.figure.items for cell in sizes} == {
        "2 to 4 items": 140,
        "20 or more items": 60,
    }


def test_json_has_the_same_content(worded: Audit) -> None:
    found = json.loads(json.dumps(worded.to_json()))
    assert found["headline"] == worded.headline()
    assert found["causes"]["words"]["tells"][0]["what"] == '"avoid"'
    assert [one["id"] for one in found["guessable"]] == [one.item.id for one in worded.guessable]
    assert found["guessable"][0]["reasons"] == list(worded.guessable[0].reasons)
    assert found["remaining"]["items"] + len(found["remaining"]["removed"]) == 400
    assert set(found["by"]) == {"task"}
    assert found["sampled"] == ""


# ---- what would remain --------------------------------------------------------------------------------


def test_without_the_third_that_leaks_the_rest_is_at_chance() -> None:
    items = planted.worded(600, share=0.3)
    leaking = {item.id for item in items if any("avoid" in text for text in item.options)}
    probed = probe(items, quick=True)
    assert probed.report.learned.overall.accuracy > 0.4
    found = remaining(probed, 0.05)
    assert found
    assert found.figure
    assert found.figure.accuracy < 0.31
    assert 0.9 * (600 - len(leaking)) <= found.kept <= 600 - 0.9 * len(leaking)
    assert len(leaking & set(found.removed)) > 0.95 * len(leaking)


def test_where_everything_leaks_few_remain() -> None:
    found = remaining(probe(planted.worded(300), quick=True), 0.05)
    assert found
    assert found.kept < 30
    assert found.figure is None
    assert "too few remain" in str(found)


def test_what_to_remove_does_not_depend_on_an_item_s_own_answer() -> None:
    """An item that the reader is certain of and gets wrong goes as well."""
    items = planted.worded(400, share=0.4)
    wrong = [
        replace(item, answer=(item.answer + 1) % 4)
        if at % 40 < 4 and any("avoid" in text for text in item.options)
        else item
        for at, item in enumerate(items)
    ]
    mistaken = {one.id for one, other in zip(wrong, items, strict=True) if one != other}
    assert len(mistaken) > 8
    found = remaining(probe(wrong, quick=True), 0.05)
    assert found
    assert len(mistaken & set(found.removed)) > 0.8 * len(mistaken)


def test_few_clips_are_not_divided() -> None:
    assert remaining(probe(planted.worded(20), quick=True), 0.05) is None


# ---- one item -----------------------------------------------------------------------------------------


def test_an_item_is_explained_by_words_and_structure() -> None:
    items = made.single_edits(200)
    probed, found = explained(items, items[7])
    assert found.item is items[7]
    assert sum(one.share for one in found.options) == pytest.approx(1)
    chose = {name: (strategy, hit) for name, strategy, hit, _ in choices(probed, items[7])}
    assert chose["centrality"] == ("most similar to the others by position", 1)
    assert not {"majority", "replay"} & set(chose)  # tied between all options
    text = "\n".join(lines(probed, found))
    assert text.startswith(f"item {items[7].id}: ")
    assert (
        "centrality: most similar to the others by position (right in 100.0% of all items)" in text
    )


def test_the_weights_of_an_item_are_those_of_the_reader() -> None:
    """Words and cues add up to the linear score, up to what the others have and this one lacks."""
    items = planted.worded(200)
    probed, found = explained(items, items[3], quick=True)
    index = probed.sheet.items.index(items[3])
    rows = list(probed.sheet.rows(index))
    seen = probed.features.both[rows].toarray()
    speaks = (seen - seen.mean(axis=0)) * probed.learned.weights[int(probed.sheet.fold[index])]
    for at, option in enumerate(found.options):
        present = seen[at] != 0
        cues = sum(cue.value for cue in option.cues)
        cue_columns = slice(-len(probed.features.cues[0]), None)
        assert cues == pytest.approx(speaks[at][cue_columns].sum(), abs=1e-6)
        words = sum(word.value for word in option.words)
        told = speaks[at][: cue_columns.start][present[: cue_columns.start]].sum()
        assert words == pytest.approx(told, abs=1e-6)


# ---- samples ------------------------------------------------------------------------------------------


def test_samples_have_whole_groups_and_are_the_same_each_time() -> None:
    items = [
        replace(item, group=f"g{at // (3 + at % 2)}")
        for at, item in enumerate(planted.worded(500, share=0))
    ]
    whole = Counter(item.group for item in items)
    taken = take(items, 100, seed=0)
    assert 95 <= len(taken) <= 100
    assert all(whole[group] == count for group, count in Counter(i.group for i in taken).items())
    assert taken == take(items, 100, seed=0)
    assert taken != take(items, 100, seed=1)


def test_a_group_is_cut_only_if_it_is_too_large_alone() -> None:
    items = [replace(item, group="all") for item in planted.worded(50, share=0)]
    assert take(items, 20, seed=0) == items[:20]


def test_a_wanted_group_is_in_the_sample() -> None:
    items = planted.worded(400, share=0)
    for group in ("g3", "g50", "g99"):
        assert {item.group for item in take(items, 40, 0, group)} >= {group}


def test_a_sample_is_reported() -> None:
    items = planted.worded(400)
    found = audit(items, sample=100)
    assert found.sampled == (
        "a sample of 100 of 400 items, by whole groups and a fixed seed, for the learned probe; "
        "300 for other readers"
    )
    assert f"measured on {found.sampled}" in str(found)
    assert found.to_json()["sampled"] == found.sampled
    assert found.to_json() == audit(items, sample=100).to_json()
    assert found.causes[0].kind == "words"


# ---- texts that steer a terminal ------------------------------------------------------------------------


def test_no_text_of_a_test_steers_the_terminal_or_the_page(tmp_path: Path) -> None:
    bad = "\x1b[2J\x07\u202e\u0085" + "w" * 10_000
    rows = [
        {"id": f"{item.id}\n{bad}", "video": item.clip, "question": f"{item.question} {bad}"}
        | {"answer": item.answer, f"column {bad}": [bad], "task": f"{item.task} {bad}"}
        | {"options": [text.replace("avoid", f"avoid {bad}") for text in item.options]}
        for item in planted.worded(60)
    ]
    file = tmp_path / "items.json"
    file.write_text(json.dumps(rows))
    pages: list[str] = []
    read = partial(blind_report, file, None, False, "0", quick=True)
    text = read(page=lambda *told: pages.append(render(*told)))
    text += read(explain=rows[0]["id"])
    assert "\\x1b[2J" in text
    for line in text.splitlines():
        assert line.isprintable()
        assert max(map(len, line.split()), default=0) <= 80
    reasons = re.findall(r"<li>(words .*?)</li>", pages[0], re.DOTALL)
    assert reasons
    assert all(one.isprintable() and len(max(one.split(), key=len)) < 100 for one in reasons)


# ---- the learned probe alone --------------------------------------------------------------------------


def test_quick_finds_words_but_clears_nothing() -> None:
    found = audit(planted.worded(200), quick=True)
    assert found.report.state() == "failed"
    assert found.guessable[0].reasons[0].startswith('words against other options: "avoid"')
    assert (found.causes, found.remaining, found.report.attacks) == ((), None, ())
    fair = audit(planted.worded(700, share=0), quick=True)
    assert fair.report.state() == "unproven"
    assert "no other reader was tried" in fair.report.verdict()


def test_progress_counts_the_readers() -> None:
    seen: list[tuple[int, int]] = []
    audit(planted.worded(16), progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {total for _, total in seen} == {len(seen)}
    seen.clear()
    audit(planted.worded(16), quick=True, progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {len(seen)}


@pytest.mark.parametrize("text", ["", "...", "→", "😀 😀", "a\u2028b", "ß SS", "x" * 500, "左 右"])
def test_odd_texts_are_explained(text: str) -> None:
    items = [
        replace(item, options=(text, *item.options[1:]), answer=at % 4)
        for at, item in enumerate(planted.worded(40, share=0))
    ]
    probed, found = explained(items, items[0], quick=True)
    assert found.options[0].text == text
    assert list(lines(probed, found))
