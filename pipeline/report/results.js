"use strict";
// The list of items with its filters, and the address of each view. Text is inserted as text nodes only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const form = document.querySelector(".filters");
  const list = document.querySelector(".list");
  const article = document.getElementById("item");
  const dialog = document.getElementById("frame");
  const view = itemView(data);
  const PAGE = 100; // rows of the list at a time
  const SIGNS = { r: "\u2713", w: "\u2717", d: "\u00b6", u: "?", f: "\u2205", t: "\u2026", "-": "-", " ": "\u00b7" };
  const TURNS = { y: ["right", "all turns right"], m: ["wrong", "all sides swapped"], n: ["wrong", "wrong turns"] }; // of a description
  const spaced = (name) => name.replaceAll("_", " ");
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  // ---- filters ----
  const fields = ["arm", "model", "outcome", "error", "task", "category", "scene", "split"];
  const fill = (name, values, shown = (value) => value) => values.forEach((value) => form.elements[name].append(el("option", { value }, shown(value))));
  fill("arm", Object.keys(data.shows), (arm) => (data.shows[arm] ? `${arm}: ${data.shows[arm]}` : arm));
  fill("model", data.sources.map((source) => source.name));
  fill("outcome", [...Object.values(OUTCOMES).filter((value) => value !== "described" || data.words), "differ"], (value) => (value === "differ" ? "models differ" : value));
  fill("error", Object.values(ERRORS).filter((value) => value !== "turns" || data.words), (value) => ({ another: "other errors", turns: "wrong turns" })[value] || `${value} errors`);
  fill("task", data.task, spaced);
  fill("category", data.category, spaced);
  fill("scene", data.split_group);
  fill("split", data.split);
  for (const name of fields) {
    const field = form.elements[name];
    const least = name === "arm" ? 1 : 2;
    field.hidden = field.options.length <= least || (name !== "outcome" && name !== "error" && field.options.length <= 2 && name !== "arm");
  }
  const positions = new Map(data.items.map((item, at) => [item[0], at]));
  const twins = new Map();
  data.items.forEach((item, at) => item[5] && twins.set(item[5], [...(twins.get(item[5]) || []), at]));

  let questions = null; // all texts, lower-cased; read when somebody searches
  function texts() {
    questions ??= data.items.map((item, at) => {
      const { question, options, reference } = view.details(at);
      return `${item[0]} ${question} ${options ? options.join(" ") : reference.text}`.toLowerCase();
    });
    return questions;
  }
  // The characters of an item in an arm: one for each repeat.
  const has = (source, arm) => Object.hasOwn(source.arms, arm);
  const got = (source, arm, at, row) => (has(source, arm) ? source.arms[arm].map((repeat) => repeat[row][at]) : []);
  const differ = (arm, at) => {
    const asked = data.sources.map((source) => got(source, arm, at, 0).map((one, repeat) => (one === "d" ? one + got(source, arm, at, 1)[repeat] : one)).join("")).filter((one) => one.trim());
    return new Set(asked).size > 1;
  };
  let matching = [];
  function filter() {
    const value = Object.fromEntries(fields.map((name) => [name, form.elements[name].value]));
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const sources = data.sources.filter((source) => !value.model || source.name === value.model);
    const code = (of, name) => Object.keys(of).find((one) => of[one] === name);
    const outcome = code(OUTCOMES, value.outcome), error = code(ERRORS, value.error);
    const places = { task: data.task.indexOf(value.task), category: data.category.indexOf(value.category), scene: data.split_group.indexOf(value.scene), split: data.split.indexOf(value.split) };
    const column = { task: 1, category: 2, scene: 3, split: 4 };
    matching = [];
    data.items.forEach((item, at) => {
      for (const name of Object.keys(places)) if (value[name] && item[column[name]] !== places[name]) return;
      const own = sources.map((source) => got(source, value.arm, at, 0));
      if (!own.some((one) => one.some((character) => character !== " "))) return;
      if (value.outcome === "differ" ? !differ(value.arm, at) : outcome && !own.some((one) => one.includes(outcome))) return;
      if (error && !sources.some((source) => got(source, value.arm, at, 1).includes(error))) return;
      if (words.length && !words.every((word) => texts()[at].includes(word))) return;
      matching.push(at);
    });
  }

  // ---- the list: one page of rows at a time ----
  let current = -1; // place in `matching`
  let first = -1; // of the rows that are shown
  const marks = (at) => el("span", { class: "marks" }, ...data.sources.map((source) => {
    const arm = form.elements.arm.value, repeat = got(source, arm, at, 0).findIndex((character) => character !== " ");
    const one = repeat < 0 ? " " : got(source, arm, at, 0)[repeat], turns = TURNS[one === "d" && got(source, arm, at, 1)[repeat]];
    const name = (OUTCOMES[one] || "not asked") + (turns ? `, ${turns[1]}` : "");
    const look = turns ? turns[0] : { r: "right", w: "wrong", d: "", " ": "" }[one] ?? "other";
    return el("span", { class: `mark ${look}`, title: `${source.name}: ${name}`, role: "img", "aria-label": `${source.name}: ${name}` }, SIGNS[one]);
  }));
  function rows(again) {
    const start = current < 0 ? 0 : Math.floor(current / PAGE) * PAGE;
    const box = list.querySelector("ol");
    if (again || start !== first) {
      first = start;
      box.replaceChildren(...matching.slice(start, start + PAGE).map((at, number) => {
        const button = el("button", { type: "button", "data-place": start + number }, el("code", {}, data.items[at][0]), marks(at));
        return el("li", {}, button);
      }));
      box.scrollTop = 0;
    }
    box.querySelector("[aria-current]")?.removeAttribute("aria-current");
    const shown = box.querySelector(`[data-place="${current}"]`);
    if (shown) {
      shown.setAttribute("aria-current", "true");
      const above = shown.offsetTop - box.offsetTop;
      if (above < box.scrollTop || above + shown.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = above - box.clientHeight / 2;
    }
    const [earlier, later] = list.querySelectorAll("p button");
    earlier.disabled = start === 0;
    later.disabled = start + PAGE >= matching.length;
    list.querySelector("p span").textContent = matching.length ? `${start + 1} to ${Math.min(start + PAGE, matching.length)} of ${matching.length}` : "";
  }
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.place) go(Number(button.dataset.place));
    else go(button.name === "later" ? first + PAGE : first - PAGE);
  });

  // ---- one item ----
  function show() {
    document.getElementById("none").hidden = matching.length > 0;
    document.querySelector(".viewer").hidden = !matching.length;
    if (current < 0) return;
    const at = matching[current], [id, task, category, scene, split, twin] = data.items[at];
    const other = (twins.get(twin) || []).find((one) => one !== at);
    const head = el("header", {}, el("h3", {}, id), ...[spaced(data.task[task]), data.category[category] !== data.task[task].split("_")[0] && spaced(data.category[category]), data.split_group[scene], data.split[split], view.details(at).mirrored && "mirrored"].filter(Boolean).map((name) => el("span", { class: "chip" }, name)));
    if (other !== undefined) head.append(el("button", { type: "button", class: "twin", "data-item": data.items[other][0] }, "twin"));
    head.append(el("a", { class: "end", href: `#${fragment()}` }, "link to this view"));
    article.replaceChildren(head, ...view.parts(at, form.elements.arm.value));
  }
  article.addEventListener("click", (event) => {
    const twin = event.target.closest("[data-item]"), frame = event.target.closest("[data-frame]");
    if (twin) open(twin.dataset.item);
    if (frame) enlarge(Number(frame.dataset.frame));
  });

  // ---- one frame, enlarged ----
  let enlarged = 0;
  function enlarge(number) {
    const frame = view.frame(number);
    if (!frame) return;
    enlarged = number;
    const image = dialog.querySelector("img");
    image.onerror = () => { image.onerror = null; image.src = frame.small; };
    image.src = frame.full;
    image.alt = frame.label;
    dialog.querySelector("p").textContent = frame.label;
    if (!dialog.open) dialog.showModal();
  }
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  // ---- the address: it always reopens the same view ----
  function fragment() {
    const parts = new URLSearchParams();
    if (current >= 0) parts.set("item", data.items[matching[current]][0]);
    for (const name of [...fields, "text"]) if (form.elements[name].value && !(name === "arm" && form.elements.arm.selectedIndex === 0)) parts.set(name, form.elements[name].value);
    return parts.toString();
  }
  function remember() {
    history.replaceState(null, "", `#${fragment()}`);
  }
  function go(place) {
    current = Math.min(Math.max(place, 0), matching.length - 1);
    rows(false);
    show();
    remember();
  }
  function apply(wanted) {
    const id = wanted ?? (current >= 0 ? data.items[matching[current]]?.[0] : null);
    filter();
    const at = positions.get(id);
    current = matching.length ? Math.max(0, matching.indexOf(at)) : -1;
    form.querySelector("output").textContent = `${matching.length} of ${count(data.items.length, "item")}`;
    rows(true);
    show();
  }
  function clear(keep = "") {
    for (const name of [...fields, "text"]) if (name !== keep) form.elements[name].value = name === "arm" ? form.elements.arm.options[0].value : "";
  }
  function open(id) {
    if (!matching.includes(positions.get(id))) clear("arm");
    apply(id);
    remember();
  }
  function reopen() {
    if (!location.hash.includes("=")) return false; // a section of the page, not a view
    const parts = new URLSearchParams(location.hash.slice(1));
    for (const name of fields) {
      const field = form.elements[name], value = parts.get(name) ?? "";
      const known = [...field.options].some((option) => option.value === value);
      field.value = known ? value : field.options[0].value;
    }
    form.elements.text.value = parts.get("text") ?? "";
    apply(parts.get("item"));
    return true;
  }
  form.addEventListener("input", () => { apply(); remember(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.clear.addEventListener("click", () => { clear(); apply(); remember(); });
  addEventListener("hashchange", () => reopen() && document.getElementById("items").scrollIntoView());

  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (dialog.open) {
      if (event.key === "ArrowRight") enlarge(enlarged + 1);
      if (event.key === "ArrowLeft") enlarge(enlarged - 1);
      return;
    }
    const field = document.activeElement;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(field.tagName)) {
      if (event.key === "Escape") field.blur();
      return;
    }
    const inside = list.contains(field) || article.contains(field);
    const scrolls = field.classList.contains("text") || field.classList.contains("scroll");
    const steps = { j: 1, k: -1, ...(inside && !scrolls ? { ArrowDown: 1, ArrowUp: -1 } : {}) };
    if (event.key in steps) {
      event.preventDefault();
      go(current + steps[event.key]);
      if (!inside) document.getElementById("items").scrollIntoView({ block: "start" });
      if (list.contains(field)) list.querySelector("[aria-current]")?.focus({ preventScroll: true });
      else article.focus({ preventScroll: true });
    } else if (event.key === "[" || event.key === "]") {
      const arms = form.elements.arm, next = arms.selectedIndex + (event.key === "]" ? 1 : -1);
      if (arms.options[next]) { arms.selectedIndex = next; apply(); remember(); }
    } else if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); }
    else if (event.key === "c") { clear(); apply(); remember(); }
    else if (event.key === "t") article.querySelector(".twin")?.click();
  });
  if (!reopen()) apply();
  else document.getElementById("items").scrollIntoView();
})();
