"use strict";
// What differs for items answered in words: the reference, what the grammar read in a description, who scored it.
function wordsView(data) {
  const percent = (value) => (value === null ? "-" : `${Math.round(100 * value)} %`);
  const chips = (names, shown) => (names.length ? names.map(shown) : [el("span", { class: "none" }, "none")]);
  const move = (name) => el("span", { class: `chip move ${name}` }, name);
  const named = (text) => el("span", { class: "chip", dir: "auto" }, text);
  // A name that the reference doesn't have is told apart by more than its colour.
  const wanted = ([text, known]) => el("span", { class: known ? "chip good" : "chip bad", dir: "auto" }, text, known ? "" : " (not in the reference)");
  const row = (name, cells, figure) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {}, ...cells), figure === undefined ? "" : el("td", {}, figure));

  function reference(one) {
    const lists = el("table", { class: "read" }, el("tbody", {}, row("moves", chips(one.moves, move)), row("landmarks", chips(one.landmarks, named)), row("actions", chips(one.actions, named))));
    return [
      el("h4", {}, "What a description should state"),
      one.text ? el("p", { class: "asked", dir: "auto" }, one.text) : "",
      lists,
      one.back ? el("p", { class: "note" }, "A description of the way back may begin with turning around, but needn't.") : "",
      one.source === "text" ? el("p", { class: "note" }, "The evidence has no lists for this item: these are read from the reference answer.") : "",
    ];
  }
  function why(one) {
    if (one.outcome === "failed") return "There is no reply: missing data.";
    if (one.outcome !== "described") return "It states nothing.";
    return one.mark ? "The description is the marked part of the reply." : "";
  }
  function read({ moves, landmarks, actions, unread, language, alike }) {
    const rows = [
      row("turns", chips(moves, move), percent(alike.turns)),
      row("landmarks", chips(landmarks, wanted), percent(alike.landmarks)),
      row("actions", chips(actions, wanted), percent(alike.actions)),
    ];
    if (alike.order !== null) rows.push(row("order", ["of the actions"], percent(alike.order)));
    if (unread.length) rows.push(row("not read", unread.map((text) => el("q", { dir: "auto" }, `\u2026 ${text} \u2026`)), ""));
    const note = language ? "" : el("p", { class: "note" }, "The grammar doesn't know the language: only the release's own words for moves are read.");
    return [el("h6", {}, "Read without a judge"), el("table", { class: "read" }, el("tbody", {}, ...rows)), note];
  }
  function scores(first, rows) {
    const head = [first, ...data.scores].map((name) => el("th", { scope: "col" }, name));
    return el("table", { class: "scores" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
  }
  function judgedRow(one) {
    const cells = one.scores ? one.scores.map((score) => el("td", {}, String(score))) : [el("td", { colspan: String(data.scores.length) }, [one.outcome, one.failed].filter(Boolean).join(": "))];
    return el("tr", {}, el("th", { scope: "row" }, one.outcome === "empty" ? "not asked: nothing was said" : String(one.repeat + 1)), ...cells);
  }
  function judge(some) {
    const { judge: name, rubric, uncalibrated } = some[0];
    const replies = some.filter((one) => one.reply);
    return [
      el("h6", {}, "Judge ", el("bdi", {}, name), `, rubric ${rubric}, from 0 to 5 `, uncalibrated ? el("span", { class: "chip warn" }, "uncalibrated") : ""),
      scores("repeat", some.map(judgedRow)),
      replies.length ? el("details", {}, el("summary", {}, "What the judge replied"), ...replies.map((one) => textBox(`Judge's reply, repeat ${one.repeat + 1}`, one.reply))) : "",
    ];
  }
  function made(one) {
    const groups = new Map();
    for (const row of one.judged || []) {
      const key = JSON.stringify([row.judge, row.rubric]);
      groups.set(key, [...(groups.get(key) || []), row]);
    }
    const people = (one.people || []).map(([name, person, ...given]) => el("tr", {}, el("th", { scope: "row" }, person ? name : `${name} (a script, not counted)`), ...given.map((score) => el("td", {}, String(score)))));
    return [
      ...(one.read ? read(one.read) : []),
      ...[...groups.values()].flatMap(judge),
      ...(people.length ? [el("h6", {}, "People, from 0 to 5"), scores("person", people)] : []),
    ].filter((part) => part !== "");
  }
  return { reference, why, made };
}
