"use strict";
// Text reaches the page through text nodes alone: what a model wrote can't become markup.
(() => {
  const data = document.getElementById("data");
  const clips = JSON.parse(data.textContent);
  const batch = Number(data.dataset.batch);
  const home = document.getElementById("clips");
  const form = document.querySelector(".filters");
  const viewer = document.getElementById("viewer");
  const SVG = "http://www.w3.org/2000/svg";
  const ARROWS = { straight: "↑", left: "↰", right: "↱", around: "↶" };
  const WORDS = { straight: "go straight", left: "turn left", right: "turn right", around: "turn around" };
  const LETTERS = "ABCDEFGHIJ";
  const SIGNS = { error: "bad", warning: "warn", info: "" };

  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children.filter((child) => child !== null && child !== ""));
    return node;
  }
  function draw(tag, attributes, ...children) {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }
  const time = (seconds) => {
    const tenths = Math.round(seconds * 10);
    return `${Math.floor(tenths / 600)}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
  };
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const say = (name) => name.replaceAll("_", " ");

  // ---- pictures: a block of strips is parsed when the first of its clips comes into view ----
  const blocks = new Map();
  function strip(place) {
    const block = Math.floor(place / batch);
    if (!blocks.has(block)) {
      const source = document.getElementById(`strips-${block}`);
      if (!source) return undefined; // the page is still being read
      blocks.set(block, JSON.parse(source.textContent));
    }
    return blocks.get(block)[place % batch];
  }
  const urls = new Map();
  function filmUrl(place) {
    if (urls.has(place)) return urls.get(place);
    const text = strip(place);
    if (!text) return text;
    const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
    urls.set(place, URL.createObjectURL(new Blob([bytes], { type: "image/webp" })));
    return urls.get(place);
  }
  function project(card, place) {
    const url = filmUrl(place);
    if (url) card.style.setProperty("--film", `url(${url})`);
    else if (url === undefined) document.addEventListener("DOMContentLoaded", () => project(card, place), { once: true });
  }

  // ---- one card ----
  function film(clip, place) {
    if (!clip.film) return "";
    const [count, width, height] = clip.film;
    const row = el("div", { class: "film" });
    clip.stills.forEach(([at, reason], number) => {
      const turn = clip.turns.find(([from, to, kind]) => kind !== "glance" && from <= at && at <= to);
      const still = el("button", { type: "button", class: `still ${turn ? turn[2] : ""}`, title: `${time(at)}  ${reason}`, "aria-label": `keyframe at ${time(at)}: ${reason}` });
      still.style.aspectRatio = `${width} / ${height}`;
      still.style.backgroundSize = `${count * 100}% 100%`;
      still.style.backgroundPosition = `${count > 1 ? (number / (count - 1)) * 100 : 0}% 0`;
      still.addEventListener("click", () => open(place, number));
      row.append(still);
    });
    return row;
  }
  function curve(clip) {
    if (!clip.yaw.length && !clip.turns.length) return "";
    const x = (at) => (at / (clip.length || 1)) * 1000;
    const degrees = [0, ...clip.yaw.map((point) => point[1])];
    const low = Math.min(...degrees), high = Math.max(...degrees);
    const span = Math.max(high - low, 60);
    const middle = (high + low) / 2;
    const y = (value) => 78 - ((value - middle) / span) * 68;
    const picture = draw("svg", { viewBox: "0 0 1000 124", preserveAspectRatio: "none", role: "img", "aria-label": "heading over time, left is up" });
    clip.turns.forEach(([from, to, kind]) => picture.append(draw("rect", { class: kind, x: x(from), y: 18, width: Math.max(x(to) - x(from), 2), height: 104 })));
    clip.stills.forEach(([at], number) => picture.append(draw("line", { class: "leader", x1: ((number + 0.5) / clip.stills.length) * 1000, y1: 0, x2: x(at), y2: 18 })));
    picture.append(draw("line", { class: "zero", x1: 0, x2: 1000, y1: y(0), y2: y(0) }));
    if (clip.yaw.length) picture.append(draw("path", { d: `M${clip.yaw.map(([at, value]) => `${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("L")}` }));
    const box = el("div", { class: clip.turns.length ? "curve" : "curve calm" });
    box.append(picture);
    clip.turns.filter(([, , kind]) => kind !== "glance").forEach(([from, to, kind, size]) => {
      const label = el("span", { class: `turn ${kind}` }, `${ARROWS[kind]} ${Math.abs(size)}°`);
      label.style.left = `${x((from + to) / 2) / 10}%`;
      box.append(label);
    });
    box.append(el("span", { class: "from" }, time(0)), el("span", { class: "to" }, time(clip.length)));
    return box;
  }
  function itemBox(item) {
    const box = el("div", { class: "item" });
    box.append(el("h4", {}, say(item.task)), el("p", {}, item.question));
    if (item.options.length) {
      const list = el("ol");
      item.options.forEach((text, number) => list.append(el("li", { "data-letter": LETTERS[number], class: number === item.right ? "true" : "" }, text)));
      box.append(list);
    } else box.append(el("p", { class: "open" }, item.answer || "the answer is withheld"));
    box.append(el("p", {}, el("small", {}, [item.id, item.status, item.why, item.contrast && `flips: ${item.contrast}`].filter(Boolean).join(" · "))));
    return box;
  }
  function pairs(clip) {
    const groups = new Map();
    clip.items.forEach((item) => {
      const category = item.task.split("_")[0];
      groups.set(category, [...(groups.get(category) || []), item]);
    });
    const box = el("div", {}, el("h4", {}, count(clip.items.length, "pair")));
    groups.forEach((items, category) => {
      const pair = el("details", { class: "pair" }, el("summary", {}, el("b", {}, category), el("span", { class: "answer" }, items[0].answer)));
      const fill = () => pair.children.length === 1 && pair.append(el("div", { class: "both" }, ...items.map(itemBox)));
      pair.addEventListener("toggle", () => pair.open && fill());
      if (allOpen) { fill(); pair.open = true; }
      box.append(pair);
    });
    return clip.items.length ? box : el("p", { class: "told" }, "No pairs: see the funnel for the reason.");
  }
  function left(clip) {
    const box = el("div");
    if (clip.steps.length) {
      const list = el("ol", { class: "steps" });
      clip.steps.forEach(([at, move, landmark, action]) => list.append(el("li", {}, el("time", {}, time(at)), el("span", { class: move, title: WORDS[move] }, ARROWS[move]), el("span", {}, [WORDS[move], landmark, action].filter(Boolean).join(" · ")))));
      box.append(el("h4", {}, count(clip.steps.length, "step")), list);
    }
    if (clip.told[0] || clip.told[1]) box.append(el("h4", {}, "Told"), el("p", { class: "told" }, clip.told.filter(Boolean).join("\n")));
    if (clip.verdicts.length) {
      const list = el("ul", { class: "remarks" });
      clip.verdicts.forEach((one) => list.append(el("li", {}, el("span", { class: `chip ${one.verdict === "reject" ? "bad" : one.verdict === "skip" ? "" : "good"}` }, one.verdict), ` ${one.who}${one.by === "script" ? " (a script)" : ""}, ${one.seconds} s${one.kind === "real" ? "" : `, ${one.kind}`}`, one.reasons.length ? `: ${one.reasons.join(", ")}` : "")));
      box.append(el("h4", {}, "Verdicts"), list);
    }
    if (clip.findings.length) {
      const list = el("ul", { class: "remarks" });
      clip.findings.forEach(([severity, kind, message]) => list.append(el("li", {}, el("span", { class: `chip ${SIGNS[severity]}`, title: kind }, severity), ` ${message}`)));
      box.append(el("h4", {}, "Findings"), list);
    }
    return box;
  }
  function fill(card) {
    if (card.childElementCount) return;
    const place = Number(card.dataset.place), clip = clips[place];
    const states = [...new Set(clip.items.map((item) => item.status))].sort();
    const head = el("header", {}, el("h3", {}, clip.video, " ", el("small", {}, `${time(clip.start)} to ${time(clip.start + clip.length)}`)));
    head.append(el("span", { class: "chip" }, clip.split));
    if (clip.scene) head.append(el("span", { class: "chip" }, clip.scene));
    states.forEach((state) => head.append(el("span", { class: `chip ${state === "verified" ? "good" : state === "set_aside" ? "bad" : "warn"}` }, say(state))));
    if (clip.findings.length) head.append(el("span", { class: "chip warn" }, count(clip.findings.length, "finding")));
    head.append(el("code", {}, clip.id));
    card.append(head, film(clip, place), curve(clip), el("div", { class: "body" }, left(clip), pairs(clip)));
    project(card, place);
    card.style.height = "";
  }
  function empty(card) {
    if (!card.childElementCount || card.contains(document.activeElement)) return;
    if (card.offsetHeight) card.style.height = `${card.offsetHeight}px`;
    card.replaceChildren();
    const place = Number(card.dataset.place);
    URL.revokeObjectURL(urls.get(place));
    urls.delete(place);
  }

  // ---- all cards: shells at once, contents near the view ----
  let allOpen = false;
  const cards = clips.map((clip, place) => el("article", { class: "clip", tabindex: "-1", "data-place": place, "aria-label": clip.video }));
  home.replaceChildren(...cards);
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
  const words = (clip) => [clip.video, clip.scene, ...clip.told, ...clip.steps.flatMap((step) => [step[2], step[3]]), ...clip.items.flatMap((item) => [item.question, item.answer, item.why, ...item.options]), ...clip.findings.flatMap((one) => [one[1], one[2]]), ...clip.verdicts.flatMap((one) => [one.who, one.verdict, ...one.reasons])].join("\n").toLowerCase();
  const ids = (clip) => [clip.id, ...clip.items.map((item) => item.id)].join("\n").toLowerCase();
  // A word is found where a word begins with it; where a script sets no spaces between words, anywhere.
  // Ids are digests: any two of their signs stand in nearly every clip, so they take four.
  const unspaced = /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}]/u;
  function wanted(text) {
    return (text.toLowerCase().match(/"[^"]+"|\S+/g) || []).map((part) => {
      const word = part.replace(/^"(.+)"$/, "$1").trim();
      const quoted = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/\s+/g, "\\s+");
      const begins = new RegExp((/^[\p{L}\p{N}]/u.test(word) && !unspaced.test(word) ? "(?<![\\p{L}\\p{N}])" : "") + quoted, "u");
      return (place) => begins.test(haystacks[place][0]) || (word.length >= 4 && haystacks[place][1].includes(word));
    });
  }
  const options = (name, values) => [...new Set(values)].filter(Boolean).sort().forEach((value) => form.elements[name].append(el("option", { value }, say(value))));
  options("task", clips.flatMap((clip) => clip.items.map((item) => item.task)));
  options("split", clips.map((clip) => clip.split));
  options("status", clips.flatMap((clip) => clip.items.map((item) => item.status)));
  options("finding", clips.flatMap((clip) => clip.findings.map((one) => one[0])));
  function apply() {
    const field = (name) => form.elements[name].value;
    const text = wanted(field("text"));
    const task = field("task"), split = field("split"), status = field("status"), finding = field("finding");
    let shown = 0, found = 0;
    clips.forEach((clip, place) => {
      const fitting = clip.items.filter((item) => (!task || item.task === task) && (!status || item.status === status));
      if (text.length) haystacks[place] ??= [words(clip), ids(clip)];
      const match = (!split || clip.split === split) && ((!task && !status) || fitting.length > 0) && (!finding || clip.findings.some((one) => one[0] === finding)) && text.every((found) => found(place));
      cards[place].hidden = !match;
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
    event.target.textContent = allOpen ? "Close all pairs" : "Open all pairs";
    home.querySelectorAll(".pair").forEach((pair) => { pair.open = allOpen; });
  });
  apply();

  // ---- full pictures and keys ----
  let shownAt = [0, 0];
  function open(place, number) {
    const clip = clips[place];
    shownAt = [place, Math.min(Math.max(number, 0), clip.stills.length - 1)];
    const [at, reason] = clip.stills[shownAt[1]];
    const image = viewer.querySelector("img");
    image.alt = `keyframe at ${time(at)}`;
    viewer.querySelector("p").textContent = `${clip.video} at ${time(at)}: ${reason}`;
    image.onerror = () => {
      image.onerror = null;
      viewer.querySelector("p").textContent += " (the full picture is not beside this page)";
      image.src = crop(place, shownAt[1]);
    };
    image.src = clip.full[shownAt[1]].split("/").map(encodeURIComponent).join("/");
    if (!viewer.open) viewer.showModal();
  }
  function crop(place, number) {
    const [, width, height] = clips[place].film;
    const sheet = el("canvas", { width: width * 3, height: height * 3 });
    const source = new Image();
    source.onload = () => {
      sheet.getContext("2d").drawImage(source, number * width, 0, width, height, 0, 0, width * 3, height * 3);
      viewer.querySelector("img").src = sheet.toDataURL();
    };
    source.src = filmUrl(place);
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
    if (held) current = Number(held.dataset.place);
    if (event.key === "/") { event.preventDefault(); form.elements.text.focus(); }
    else if (event.key === "j") go(1);
    else if (event.key === "k") go(-1);
    else if (event.key === "o" && held) { const all = [...held.querySelectorAll(".pair")]; const wanted = !all.every((pair) => pair.open); all.forEach((pair) => { pair.open = wanted; }); }
    else if (event.key === "Enter" && held === document.activeElement && clips[current].film) { event.preventDefault(); open(current, 0); } // or this very key would press the viewer's button
  });
})();
