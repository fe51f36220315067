"use strict";
// One item of a results page: the frames and the prompt that were sent, what is right, and what was replied.
// Text is inserted as text nodes only, so that what a model wrote can't become markup.
const OUTCOMES = { r: "right", w: "wrong", d: "described", u: "unreadable", f: "refused", t: "truncated", "-": "failed" };
const ERRORS = { m: "mirror", o: "order", x: "another", n: "turns" };

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}
const textBox = (label, ...children) => el("div", { class: "text", dir: "auto", tabindex: "0", role: "group", "aria-label": label }, ...children);

// Returns what shows an item, by its place in the list and the arm; `frames` are those shown last, as address, smaller
// copy and label.
function itemView(data) {
  const LETTERS = "ABCDEFGHIJ";
  const CHIPS = { right: "chip good", wrong: "chip bad", described: "chip" };
  const words = wordsView(data);
  let frames = [];

  // ---- details: a block is parsed when the first of its items is opened ----
  const parsed = new Map();
  function json(id) {
    if (!parsed.has(id)) {
      const source = document.getElementById(id);
      parsed.set(id, source ? JSON.parse(source.textContent) : null);
    }
    return parsed.get(id);
  }
  const details = (at) => json(`block-${Math.floor(at / data.batch)}`)[at % data.batch];
  const link = (way, name) => `${data.bases[way]}/${name}`.split("/").map(encodeURIComponent).join("/");
  const small = (way, name) => {
    const inlined = json(`pictures-${way}`)?.[name];
    return inlined ? `data:image/webp;base64,${inlined}` : null;
  };
  const names = (numbers) => numbers.map((number) => data.sources[number].name).join(", ");

  // ---- what was sent ----
  function sent(item, source, arm) {
    const way = data.ways[source], found = item.asked[way];
    const one = found.arms && Object.hasOwn(found.arms, arm) ? found.arms[arm] : null;
    return one ? { ...one, way, names: found.frames, text: found.texts[one.text] } : null;
  }
  function alike(item, arm, key) { // the models that were asked, by what they were sent
    const found = new Map();
    data.sources.forEach((_, number) => {
      const asked = item.replies[number].some((one) => one.arm === arm);
      const value = asked ? key(sent(item, number, arm), number) : null;
      if (value) found.set(value, [...(found.get(value) || []), number]);
    });
    return found;
  }
  function frameList(shown, model) {
    if (!shown) return el("p", { class: "note" }, "The frames that were sent are not known here.");
    if (shown.pictures === "video") return el("p", { class: "note" }, "A clip of the source video was sent.");
    if (shown.pictures === "none") return el("p", { class: "note" }, "No frames were sent.");
    const box = el("ol", { class: "frames" });
    shown.frames.forEach((at, number) => {
      const label = shown.labels[number] || `Frame ${number + 1}`;
      if (shown.pictures === "grey") return box.append(el("li", {}, el("div", { class: "grey", role: "img", "aria-label": "grey image" }), el("small", {}, label)));
      const name = shown.names[at];
      const image = el("img", { alt: label, loading: "lazy", src: small(shown.way, name) || link(shown.way, name) });
      const button = el("button", { type: "button", "data-frame": frames.length }, image);
      frames.push({ full: link(shown.way, name), small: image.src, label });
      box.append(el("li", {}, button, el("small", {}, label)));
    });
    const notes = [model.pixels && `scaled down to at most ${model.pixels} pixels when they were sent`, model.fps && `cut anew, ${model.fps} a second`].filter(Boolean);
    return el("div", {}, box, notes.length ? el("p", { class: "note" }, `Frames were ${notes.join("; ")}.`) : "");
  }
  function promptBox(item, arm) {
    const told = alike(item, arm, (shown) => shown?.text);
    if (!told.size) return el("p", { class: "asked", dir: "auto" }, item.question);
    return el("div", {}, ...[...told].map(([text, numbers]) => el("div", {}, told.size > 1 ? el("small", {}, names(numbers)) : "", el("p", { class: "asked", dir: "auto" }, text))));
  }

  // ---- what is right ----
  function choices(item, made) {
    const box = el("ol", { class: "choices" });
    const right = made.length ? made[0][0].true : item.answer;
    item.options.forEach((text, place) => {
      const chosen = [...new Set(made.filter(([one]) => one.letter === LETTERS[place]).map(([, source]) => data.sources[source].name))];
      box.append(el("li", { class: place === right ? "true" : null }, el("b", {}, LETTERS[place]), el("bdi", {}, text, place === right ? el("small", {}, " the answer") : ""), el("span", {}, ...chosen.map((name) => el("span", { class: `chip ${place === right ? "good" : "bad"}` }, name)))));
    });
    const facts = item.facts.map(([name, values]) => `${name.replace("|", " | ")} (${values[item.answer]})`).join("; ");
    return [el("h4", {}, "Options"), box, facts ? el("p", { class: "note" }, `Asks about: ${facts}.`) : ""];
  }

  // ---- what was replied ----
  function replyText(one) {
    if (!one.mark) return textBox("Reply", one.text);
    // Offsets count characters as Python does, not UTF-16 units.
    const characters = [...one.text], [start, end] = one.mark, part = (...ends) => characters.slice(...ends).join("");
    return textBox("Reply", part(0, start), el("mark", {}, part(start, end)), part(end));
  }
  function letterRead(one) {
    const asked = one.shown ? ` (shown as ${one.shown})` : "";
    return `${one.letter ? `${one.letter}${asked} was read: ${one.why}` : `No letter: ${one.why}`}${one.flags ? `; ${one.flags.join(", ")}` : ""}.`;
  }
  function replyBox(one, source, inWords) {
    const box = el("section", { class: inWords ? "reply words" : "reply" });
    const head = el("h5", {}, data.sources[source].name, el("span", { class: CHIPS[one.outcome] || "chip warn" }, one.letter ? `${one.letter}, ${one.outcome}` : one.outcome));
    if (one.error) head.append(el("span", { class: "chip" }, one.error === "turns" ? "wrong turns" : `${one.error} error`));
    if (one.repeat) head.append(el("small", {}, `repeat ${one.repeat + 1}`));
    const why = inWords ? words.why(one) : letterRead(one);
    box.append(head, why ? el("p", { class: "why" }, why) : "");
    if (one.failed) box.append(el("p", { class: "why" }, one.failed));
    if (one.refusal) box.append(el("p", { class: "why" }, `Refusal: ${one.refusal}`));
    if (one.text) box.append(replyText(one));
    if (one.reasoning) box.append(el("details", {}, el("summary", {}, "Reasoning field"), textBox("Reasoning", one.reasoning)));
    if (inWords) box.append(...words.made(one));
    const facts = [one.finish && `finish: ${one.finish}`, one.tokens && `${one.tokens[0]} + ${one.tokens[1] ?? "?"} tokens`, one.cost && `${one.cost.toPrecision(2)} USD`, one.seconds && `${one.seconds.toFixed(1)} s`].filter(Boolean);
    if (facts.length) box.append(el("small", {}, facts.join(" · ")));
    return box;
  }

  function parts(at, arm) {
    const item = details(at), found = [];
    frames = [];
    const shownTo = alike(item, arm, (_, number) => `${data.ways[number]} ${data.models[number].pixels}`);
    for (const numbers of shownTo.values()) {
      found.push(el("h4", {}, "Frames that were sent", shownTo.size > 1 ? `: ${names(numbers)}` : ""));
      found.push(frameList(sent(item, numbers[0], arm), data.models[numbers[0]]));
    }
    found.push(el("h4", {}, "Prompt"), promptBox(item, arm));
    const made = item.replies.flatMap((replies, source) => replies.filter((one) => one.arm === arm).map((one) => [one, source]));
    found.push(...(item.reference ? words.reference(item.reference) : choices(item, made)));
    const boxes = made.map(([one, source]) => replyBox(one, source, Boolean(item.reference)));
    found.push(el("h4", {}, "Replies"), boxes.length ? el("div", { class: "replies" }, ...boxes) : el("p", { class: "note" }, "No model was asked this item in this way."));
    return found;
  }
  return { details, parts, frame: (number) => frames[number] };
}
