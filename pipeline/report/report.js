"use strict";
// Text is inserted as text nodes only, so that what a model wrote can't become markup.
(() => {
  const data = document.getElementById("data");
  const clips = JSON.parse(data.textContent);
  const batch = Number(data.dataset.batch);
  const gallery = document.getElementById("clips");
  const form = document.querySelector(".filters");
  const viewer = document.getElementById("viewer");
  const ARROWS = { straight: "↑", left: "↰", right: "↱", around: "↶", stay: "•" };
  const WORDS = { straight: "go straight", left: "turn left", right: "turn right", around: "turn around", stay: "stay in place" };
  const LETTERS = "ABCDEFGHIJ";
  const CHIPS = { error: "bad", warning: "warn", info: "" };

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== ""));
    return node;
  }
  const time = (seconds) => {
    const tenths = Math.round(seconds * 10);
    return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
  };
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const spaced = (name) => name.replaceAll("_", " ");

  // ---- images: a block of filmstrips and heading curves is parsed when its first clip comes into view ----
  const blocks = new Map();
  function images(index) {
    const number = Math.floor(index / batch);
    if (!blocks.has(number)) {
      const source = document.getElementById(`images-${number}`);
      // While the page is loading, a block is whole only once something follows it.
      const loading = document.readyState === "loading";
      if (!source || (loading && !source.nextElementSibling)) return undefined;
      blocks.set(number, JSON.parse(source.textContent));
    }
    return blocks.get(number)[index % batch];
  }
  const urls = new Map();
  function filmUrl(index) {
    if (!urls.has(index)) {
      const bytes = Uint8Array.from(atob(images(index)[0]), (character) => character.charCodeAt(0));
      urls.set(index, URL.createObjectURL(new Blob([bytes], { type: "image/webp" })));
    }
    return urls.get(index);
  }
  function addImages(card, index) {
    const found = images(index), box = card.querySelector(".curve");
    if (!found) document.addEventListener("DOMContentLoaded", () => addImages(card, index), { once: true });
    else {
      if (found[0]) card.style.setProperty("--film", `url(${filmUrl(index)})`);
      if (box && found[1]) box.replaceChildren(new DOMParser().parseFromString(found[1], "image/svg+xml").documentElement);
      else box?.remove();
    }
  }

  // ---- one card ----
  function film(clip, index) {
    if (!clip.film) return "";
    const [count, width, height] = clip.film;
    const row = el("div", { class: "film" });
    clip.stills.forEach(([at, reason, turn], number) => {
      const still = el("button", { type: "button", class: `still ${turn}`, title: `${time(at)}  ${reason}`, "aria-label": `keyframe at ${time(at)}: ${reason}` });
      still.style.aspectRatio = `${width} / ${height}`;
      still.style.backgroundSize = `${count * 100}% 100%`;
      still.style.backgroundPosition = `${count > 1 ? (number / (count - 1)) * 100 : 0}% 0`;
      still.addEventListener("click", () => open(index, number));
      row.append(still);
    });
    return row;
  }
  // What each option states of a fact, and what is true of it on the way back, in reversed and in mirrored frames.
  function factList(item) {
    const list = el("ul", { class: "facts" });
    item.facts.forEach((fact) => {
      const values = fact.values.map((value, number) => el("span", { class: number === item.right ? "true" : "" }, `${LETTERS[number]} ${value}`));
      const maps = ["on the way back", "frames reversed", "mirrored"].map((when, number) => `${when}: ${fact.maps[number].replace(`${fact.name}=`, "")}`);
      const seen = fact.seen === null ? "" : el("span", { class: `chip ${fact.seen ? "good" : "bad"}` }, fact.seen ? "in the frames" : "not in the frames");
      list.append(el("li", {}, el("b", {}, fact.name.replace("|", " | ")), seen, el("div", {}, ...values), el("small", {}, maps.join(" · "))));
    });
    return list;
  }
  const spanName = ([begin, end, label]) => `${label}: ${time(begin)} to ${time(end)}`;
  function itemBox(item, clip) {
    const box = el("div", { class: "item" });
    box.append(el("h4", {}, spaced(item.task)));
    if (clip.spans[item.span - 1]) box.append(el("p", { class: "span" }, spanName(clip.spans[item.span - 1])));
    box.append(el("p", {}, item.question));
    if (item.options.length) {
      const list = el("ol");
      item.options.forEach((text, number) => list.append(el("li", { "data-letter": LETTERS[number], class: number === item.right ? "true" : "" }, text)));
      box.append(list);
    } else box.append(el("p", { class: "open" }, item.answer || "answer withheld"));
    if (item.facts.length) box.append(factList(item));
    box.append(el("p", {}, el("small", {}, [item.id, item.status, item.why, item.contrast && `facts: ${item.contrast}`, item.twin && `twin: ${item.twin}`].filter(Boolean).join(" · "))));
    return box;
  }
  function pairs(clip) {
    const groups = new Map();
    clip.items.forEach((item) => {
      const key = item.twin || item.task.split("_")[0];
      groups.set(key, [...(groups.get(key) || []), item]);
    });
    const box = el("div", {}, el("h4", {}, count(clip.items.length, "pair")));
    groups.forEach((items) => {
      const where = clip.spans.length > 1 && clip.spans[items[0].span - 1] ? `span ${items[0].span}` : "";
      const pair = el("details", { class: "pair" }, el("summary", {}, el("b", {}, items[0].task.split("_")[0]), el("small", {}, where), el("span", { class: "answer" }, items[0].answer)));
      const fill = () => pair.children.length === 1 && pair.append(el("div", { class: "both" }, ...items.map((item) => itemBox(item, clip))));
      pair.addEventListener("toggle", () => pair.open && fill());
      if (allOpen) { fill(); pair.open = true; }
      box.append(pair);
    });
    return clip.items.length ? box : el("p", { class: "descriptions" }, "No pairs; the funnel lists the reasons.");
  }
  function details(clip) {
    const box = el("div");
    if (clip.steps.length) {
      const list = el("ol", { class: "steps" });
      let next = 0;
      clip.steps.forEach(([at, move, landmark, action]) => {
        for (; next < clip.spans.length && clip.spans[next][0] <= at; next += 1) list.append(el("li", { class: "span" }, spanName(clip.spans[next])));
        list.append(el("li", {}, el("time", {}, time(at)), el("span", { class: move, title: WORDS[move] }, ARROWS[move]), el("span", {}, [WORDS[move], landmark, action].filter(Boolean).join(" · "))));
      });
      box.append(el("h4", {}, count(clip.steps.length, "step")), list);
    }
    if (clip.descriptions.some(Boolean)) box.append(el("h4", {}, "Descriptions"), el("p", { class: "descriptions" }, clip.descriptions.filter(Boolean).join("\n")));
    if (clip.verdicts.length) {
      const list = el("ul", { class: "remarks" });
      clip.verdicts.forEach((one) => list.append(el("li", {}, el("span", { class: `chip ${one.verdict === "reject" ? "bad" : one.verdict === "skip" ? "" : "good"}` }, one.verdict), ` ${one.who}${one.by === "script" ? " (script)" : ""}, ${one.seconds} s${one.kind === "real" ? "" : `, ${one.kind}`}`, one.reasons.length ? `: ${one.reasons.join(", ")}` : "")));
      box.append(el("h4", {}, "Verdicts"), list);
    }
    if (clip.findings.length) {
      const list = el("ul", { class: "remarks" });
      clip.findings.forEach(([severity, kind, message]) => list.append(el("li", {}, el("span", { class: `chip ${CHIPS[severity]}`, title: kind }, severity), ` ${message}`)));
      box.append(el("h4", {}, "Findings"), list);
    }
    return box;
  }
  function fill(card) {
    if (card.childElementCount) return;
    const index = Number(card.dataset.index), clip = clips[index];
    const states = [...new Set(clip.items.map((item) => item.status))].sort();
    const head = el("header", {}, el("h3", {}, clip.video, " ", el("small", {}, `${time(clip.start)} to ${time(clip.start + clip.length)}`)));
    head.append(el("span", { class: "chip" }, clip.split));
    if (clip.scene) head.append(el("span", { class: "chip" }, clip.scene));
    states.forEach((state) => head.append(el("span", { class: `chip ${state === "verified" ? "good" : state === "set_aside" ? "bad" : "warn"}` }, spaced(state))));
    if (clip.findings.length) head.append(el("span", { class: "chip warn" }, count(clip.findings.length, "finding")));
    head.append(el("code", {}, clip.id));
    card.append(head, film(clip, index), el("div", { class: "curve", role: "img", "aria-label": "heading over time, left is up" }), el("div", { class: "body" }, details(clip), pairs(clip)));
    addImages(card, index);
    card.style.height = "";
  }
  function empty(card) {
    if (!card.childElementCount || card.contains(document.activeElement)) return;
    if (card.offsetHeight) card.style.height = `${card.offsetHeight}px`;
    card.replaceChildren();
    const index = Number(card.dataset.index);
    URL.revokeObjectURL(urls.get(index));
    urls.delete(index);
  }

  // ---- all cards: empty at first, filled while near the view ----
  let allOpen = false;
  const cards = clips.map((clip, index) => el("article", { class: "clip", tabindex: "-1", "data-index": index, "aria-label": clip.video }));
  gallery.replaceChildren(...cards);
  const seen = new IntersectionObserver((entries) => {
    if (printing) return;
    entries.forEach((entry) => (entry.isIntersecting ? fill(entry.target) : empty(entry.target)));
  }, { rootMargin: "1400px 0px" });
  cards.forEach((card) => seen.observe(card));
  let printing = false;
  addEventListener("beforeprint", () => { printing = true; cards.filter((card) => !card.hidden).forEach(fill); });
  addEventListener("afterprint", () => { printing = false; });

  // ---- filters ----
  const haystacks = [];
  const words = (clip) => [clip.video, clip.scene, ...clip.descriptions, ...clip.steps.flatMap((step) => [step[2], step[3]]), ...clip.items.flatMap((item) => [item.question, item.answer, item.why, ...item.options]), ...clip.findings.flatMap((one) => [one[1], one[2]]), ...clip.verdicts.flatMap((one) => [one.who, one.verdict, ...one.reasons])].join("\n").toLowerCase();
  const ids = (clip) => [clip.id, ...clip.items.flatMap((item) => [item.id, item.twin])].join("\n").toLowerCase();
  // A search term matches the beginning of a word, or any position in scripts without spaces between words.
  // Ids are digests, and any two characters occur in nearly every one, so a term needs at least four.
  const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;
  function wanted(text) {
    return (text.toLowerCase().match(/"[^"]+"|\S+/g) || []).map((part) => {
      const word = part.replace(/^"(.+)"$/, "$1").trim();
      const quoted = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
      const begins = new RegExp((/^[\p{L}\p{N}]/u.test(word) && !unspaced.test(word) ? "(?<![\\p{L}\\p{N}])" : "") + quoted, "u");
      return (index) => begins.test(haystacks[index][0]) || (word.length >= 4 && haystacks[index][1].includes(word));
    });
  }
  const options = (name, values) => [...new Set(values)].filter(Boolean).sort().forEach((value) => form.elements[name].append(el("option", { value }, spaced(value))));
  options("task", clips.flatMap((clip) => clip.items.map((item) => item.task)));
  options("split", clips.map((clip) => clip.split));
  options("status", clips.flatMap((clip) => clip.items.map((item) => item.status)));
  options("finding", clips.flatMap((clip) => clip.findings.map((one) => one[0])));
  function apply() {
    const field = (name) => form.elements[name].value;
    const text = wanted(field("text"));
    const task = field("task"), split = field("split"), status = field("status"), finding = field("finding");
    let shown = 0, found = 0;
    clips.forEach((clip, index) => {
      const fitting = clip.items.filter((item) => (!task || item.task === task) && (!status || item.status === status));
      if (text.length) haystacks[index] ??= [words(clip), ids(clip)];
      const match = (!split || clip.split === split) && ((!task && !status) || fitting.length > 0) && (!finding || clip.findings.some((one) => one[0] === finding)) && text.every((found) => found(index));
      cards[index].hidden = !match;
      if (match) { shown += 1; found += fitting.length; }
    });
    form.querySelector("output").value = `${shown} of ${clips.length} clips, ${found} pairs`;
    document.getElementById("none").hidden = shown > 0 || clips.length === 0;
  }
  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(apply, 80); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.pairs.addEventListener("click", (event) => {
    allOpen = !allOpen;
    event.target.setAttribute("aria-pressed", allOpen);
    event.target.textContent = allOpen ? "Collapse all pairs" : "Expand all pairs";
    gallery.querySelectorAll(".pair").forEach((pair) => { pair.open = allOpen; });
  });
  apply();

  // ---- full-size keyframes and keys ----
  let shownAt = [0, 0];
  function open(index, number) {
    const clip = clips[index];
    shownAt = [index, Math.min(Math.max(number, 0), clip.stills.length - 1)];
    const [at, reason] = clip.stills[shownAt[1]];
    const image = viewer.querySelector("img");
    image.alt = `keyframe at ${time(at)}`;
    viewer.querySelector("p").textContent = `${clip.video} at ${time(at)}: ${reason}`;
    image.onerror = () => {
      image.onerror = null;
      viewer.querySelector("p").textContent += " (full-size file not found; this is the thumbnail)";
      image.src = crop(index, shownAt[1]);
    };
    image.src = clip.full[shownAt[1]].split("/").map(encodeURIComponent).join("/");
    if (!viewer.open) viewer.showModal();
  }
  function crop(index, number) {
    const [, width, height] = clips[index].film;
    const sheet = el("canvas", { width: width * 3, height: height * 3 });
    const source = new Image();
    source.onload = () => {
      sheet.getContext("2d").drawImage(source, number * width, 0, width, height, 0, 0, width * 3, height * 3);
      viewer.querySelector("img").src = sheet.toDataURL();
    };
    source.src = filmUrl(index);
    return "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";
  }
  viewer.querySelector("button").addEventListener("click", () => viewer.close());
  viewer.addEventListener("click", (event) => event.target === viewer && viewer.close());
  let current = -1;
  function go(step) {
    let next = current + step;
    while (cards[next] && cards[next].hidden) next += step;
    if (!cards[next]) return;
    current = next;
    fill(cards[current]);
    cards[current].focus({ preventScroll: true });
    cards[current].scrollIntoView({ block: "start" });
  }
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (viewer.open) {
      if (event.key === "ArrowRight") open(shownAt[0], shownAt[1] + 1);
      if (event.key === "ArrowLeft") open(shownAt[0], shownAt[1] - 1);
      return;
    }
    const inField = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key === "Escape" && inField) {
      if (form.elements.text.value) { form.elements.text.value = ""; apply(); } else document.activeElement.blur();
      return;
    }
    if (inField) return;
    const held = document.activeElement.closest(".clip");
    if (held) current = Number(held.dataset.index);
    if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); }
    else if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "o" && held) { const all = [...held.querySelectorAll(".pair")]; const wanted = !all.every((pair) => pair.open); all.forEach((pair) => { pair.open = wanted; }); }
    else if (event.key === "Enter" && held === document.activeElement && clips[current].film) { event.preventDefault(); open(current, 0); } // or this key would press the viewer's button, too
  });
})();
