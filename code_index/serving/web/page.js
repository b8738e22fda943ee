// The page of an index. All that comes from files is set as text: no function here reads markup.
"use strict";

const byId = (id) => document.getElementById(id);
const state = { view: "search", hits: [], chosen: -1, tiles: [], tile: -1, folder: "", open: null, asked: 0, opened: 0 };

// Characters that command a terminal or turn the order of a line around, as the command line shows them.
const COMMANDING = /(?![\t\u200c\u200d\ufeff])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const visible = (text) => String(text ?? "").replace(COMMANDING, (c) => "\\u" + c.codePointAt(0).toString(16).padStart(4, "0"));
const count = (number) => Number(number ?? 0).toLocaleString("en");

function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name === "class") made.className = value;
    else if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.map((child) => (typeof child === "string" ? visible(child) : child)));
  return made;
}

async function ask(question, given = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) if (value !== "" && value !== undefined) query.append(name, value);
  let answer;
  try {
    answer = await fetch(`/api/${question}?${query}`, { headers: { accept: "application/json" } });
  } catch {
    throw new Error("Nobody answers: `code-index serve` has ended. Start it again, and open the address that it prints.");
  }
  if (answer.status === 401) throw new Error("Open the address that `code-index serve` printed: its token makes this browser known.");
  const said = await answer.json().catch(() => ({ error: `The answer cannot be read (${answer.status}).` }));
  if (said.error) throw new Error(said.error);
  return said;
}

const bytes = (size) => size < 1e3 ? `${size} B` : size < 1e6 ? `${(size / 1e3).toFixed(1)} KB` : size < 1e9 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e9).toFixed(1)} GB`;

function codeLine(parts) {
  return parts.map(([style, text]) => (style ? element("span", { class: style }, text) : document.createTextNode(visible(text))));
}

// Search

function asked() {
  const given = { query: byId("query").value.trim(), language: byId("language").value, glob: byId("glob").value.trim(), content: byId("content").value, mode: byId("mode").value };
  if (given.content === "all") delete given.content;
  return given;
}

async function search() {
  const given = asked();
  const number = ++state.asked;
  remember();
  if (!given.query) return showHits([], "");
  byId("said").textContent = "Searching ...";
  try {
    const answer = await ask("search", { ...given, explain: 1, highlight: 1 });
    if (number !== state.asked) return;
    state.shown = answer.shown;
    const { hits, indexes: [fresh] } = answer.envelope;
    const said = hits.length ? [] : ["Nothing found.", ...answer.why_nothing];
    if (!fresh.chunks) said.splice(0, said.length, "Nothing is indexed yet. Health shows what is going on.");
    else if (answer.without_vector[0] && given.mode !== "lexical")
      said.push(`${count(answer.without_vector[0])} of ${count(fresh.chunks)} chunks have no vector yet and are found only by their words.`);
    said.push(...answer.envelope.notes);
    if (fresh.newer_count) said.push(`${count(fresh.newer_count)} files are newer than the index: ${fresh.newer_files.slice(0, 5).join(", ")}${fresh.newer_count > 5 ? ", ..." : ""}.`);
    if (fresh.commit) said.push(`Index of commit ${fresh.commit.slice(0, 10)}.`);
    showHits(hits, said.join(" "));
  } catch (error) {
    if (number === state.asked) showHits([], error.message);
  }
}

function showHits(hits, said) {
  state.hits = hits;
  state.chosen = -1;
  byId("said").textContent = visible(said);
  byId("results").replaceChildren(...hits.map(hitItem));
  if (hits.length) choose(0, false);
}

function hitItem(hit, number) {
  const shown = state.shown[number];
  const pre = element("pre");
  shown.lines.forEach((line, at) => pre.append(...(at ? ["\n"] : []), ...codeLine(line)));
  const item = element("li", { on: { click: (event) => { if (!event.target.closest("details")) { choose(number, false); openHit(number); } } } },
    element("div", {},
      element("span", { class: "place" }, `${hit.file_path}:${hit.start_line}`), " ",
      element("span", { class: "name" }, hit.qualified_name || hit.chunk_type), " ",
      element("span", { class: "meta" }, `${hit.chunk_type}, ${hit.language}, ${Number(hit.score ?? 0).toFixed(3)}`),
      ...(hit.state && hit.state !== "current" ? [" ", element("span", { class: "badge" }, `${hit.state} since it was indexed`)] : [])),
    pre);
  if (shown.left > 0) item.append(element("div", { class: "more" }, shown.left === 1 ? "1 more line" : `${shown.left} more lines`));
  if (hit.copies?.length) item.append(element("div", { class: "more" }, `${hit.copies.length} more like it: ${hit.copies.join(", ")}`));
  if (hit.explanation) item.append(why(hit.explanation));
  return item;
}

function why(explanation) {
  const groups = new Map();
  for (const [part, value] of Object.entries(explanation)) {
    const group = part.includes(":") ? part.split(":")[0] : "";
    groups.set(group, [...(groups.get(group) ?? []), [part, value]]);
  }
  const most = Math.max(...Object.values(explanation).map(Math.abs), 1e-9);
  const grid = element("div", { class: "why" });
  for (const [group, parts] of groups)
    for (const [part, value] of parts.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]))) {
      const scale = element("span", { class: value < 0 ? "scale less" : "scale" });
      scale.style.width = `${(100 * Math.abs(value)) / most}%`;
      grid.append(element("span", { class: group ? "group" : "" }, part.replaceAll("_", " ")),
        element("span", { class: "value" }, (value < 0 ? "" : "+") + value.toFixed(3)), scale);
    }
  return element("details", {}, element("summary", {}, "Why it stands here"), grid);
}

function choose(number, scroll = true) {
  const items = [...byId("results").children];
  if (!items.length) return;
  state.chosen = Math.max(0, Math.min(items.length - 1, number));
  items.forEach((item, at) => item.setAttribute("aria-current", String(at === state.chosen)));
  if (scroll) items[state.chosen].scrollIntoView({ block: "nearest" });
}

function openHit(number) {
  const hit = state.hits[number];
  if (hit) openFile(hit.file_path, hit.start_line, hit.end_line);
}

// File

async function openFile(path, line, end = line, span = {}) {
  const detail = byId("detail");
  const number = ++state.opened;
  detail.hidden = false;
  try {
    const file = await ask("file", { path, line, ...span });
    if (number !== state.opened) return;
    state.open = { path, line, end };
    showFile(file, line, end);
  } catch (error) {
    if (number === state.opened) detail.replaceChildren(fileHead(path), element("p", { class: "bad" }, error.message));
  }
  remember();
}

function fileHead(path, ...more) {
  return element("div", { class: "file-head" }, element("span", { class: "place" }, path), ...more,
    element("button", { type: "button", on: { click: closeFile } }, "Close"));
}

function showFile(file, line, end) {
  const body = element("tbody");
  file.lines.forEach((parts, at) => {
    const number = file.first + at;
    body.append(element("tr", { class: number >= line && number <= end ? "hit" : "" },
      element("td", { class: "number-of" }, String(number)), element("td", {}, ...codeLine(parts))));
  });
  const last = file.first + file.lines.length - 1;
  const step = 300;
  const more = (label, first, until) => element("button", { type: "button", on: { click: () => openFile(file.path, line, end, { first, last: until }) } }, label);
  const parts = [fileHead(file.path,
    element("span", { class: "meta" }, `${file.language ?? "text"}, ${count(file.total)} lines, ${bytes(file.size_bytes)}`),
    ...(file.newer ? [element("span", { class: "badge" }, "changed since it was indexed")] : []))];
  if (file.reason) parts.push(element("p", { class: "more" }, file.reason));
  if (file.first > 1) parts.push(more(`${count(file.first - 1)} lines above`, Math.max(1, file.first - step), last));
  parts.push(element("div", { class: "wide" }, element("table", { class: "code" }, body)));
  if (last < file.total) parts.push(more(`${count(file.total - last)} lines below`, file.first, Math.min(file.total, last + step)));
  if (file.related?.length) parts.push(element("h2", {}, "Related code"), relatedList(file.related));
  if (file.outline === null) parts.push(element("p", { class: "more" }, "No outline yet: `code-index index` makes it."));
  else if (file.outline.length) parts.push(element("h2", {}, "Outline"), outlineList(file));
  const detail = byId("detail");
  detail.replaceChildren(...parts);
  const hit = detail.querySelector("tr.hit");
  detail.scrollTop = hit ? hit.getBoundingClientRect().top - detail.getBoundingClientRect().top + detail.scrollTop - detail.clientHeight / 5 : 0;
}

function outlineList(file) {
  return element("ol", { class: "outline" }, ...file.outline.map((symbol) =>
    element("li", { class: `depth-${Math.min(4, symbol.depth)}` },
      element("button", { type: "button", on: { click: () => openFile(file.path, symbol.start_line, symbol.end_line) } }, symbol.name),
      element("span", { class: "meta" }, `${symbol.kind}, line ${symbol.start_line}`))));
}

function relatedList(related) {
  return element("ol", { class: "list" }, ...related.map((hit) =>
    element("li", {},
      element("button", { type: "button", on: { click: () => openFile(hit.file_path, hit.start_line, hit.end_line) } }, `${hit.file_path}:${hit.start_line}`), " ",
      element("span", { class: "meta" }, [hit.qualified_name || hit.chunk_type, hit.relation, Number(hit.score).toFixed(3)].filter(Boolean).join(", ")))));
}

function closeFile() {
  state.opened += 1;
  state.open = null;
  byId("detail").hidden = true;
  byId("detail").replaceChildren();
  remember();
}

// Map

const SCALES = {
  complexity: { words: ["simple", "complex"], of: (file) => file.complexity == null ? null : Math.min(1, Math.log2(1 + file.complexity) / 7), say: (file) => file.complexity == null ? "no functions" : `complexity ${file.complexity}` },
  freshness: { words: ["old", "changed today"], of: (file) => file.modified_s == null ? null : 1 - Math.min(1, Math.log10(1 + Math.max(0, Date.now() / 1e3 - file.modified_s) / 86400) / 3.3), say: (file) => file.modified_s == null ? "" : `changed ${new Date(file.modified_s * 1e3).toISOString().slice(0, 10)}` },
  coverage: { words: ["no vectors", "all vectors"], of: (file) => file.chunks ? file.vectors / file.chunks : null, say: (file) => `${count(file.vectors)} of ${count(file.chunks)} chunks have vectors` },
};
const shade = (value) => value == null ? "hsl(215 10% 72%)" : `hsl(${210 - 185 * value} 62% ${84 - 24 * value}%)`;

async function showMap(folder = state.folder) {
  state.folder = folder;
  const said = byId("map-said");
  try {
    const answer = await ask("map", { folder });
    state.map = answer.files.map((row) => Object.fromEntries(answer.columns.map((name, at) => [name, row[at]])));
    state.total = answer.total;
    said.textContent = `${count(answer.total.files)} files, ${bytes(answer.total.bytes)}.` + (answer.others.files ? ` The ${count(answer.others.files)} smallest (${bytes(answer.others.bytes)}) are left out.` : "");
    drawMap();
  } catch (error) {
    said.textContent = visible(error.message);
  }
}

function drawMap() {
  const place = byId("map");
  const prefix = state.folder ? `${state.folder}/` : "";
  const root = { children: new Map(), bytes: 0 };
  for (const file of state.map) {
    let node = root;
    const names = file.path.slice(prefix.length).split("/");
    node.bytes += file.bytes;
    names.slice(0, -1).forEach((name, depth) => {
      if (!node.children.has(name)) node.children.set(name, { children: new Map(), bytes: 0, path: prefix + names.slice(0, depth + 1).join("/"), name });
      node = node.children.get(name);
      node.bytes += file.bytes;
    });
    node.children.set(`/${names.at(-1)}`, { file, bytes: file.bytes, name: names.at(-1) });
  }
  state.tiles = [];
  state.tile = -1;
  place.replaceChildren();
  layOut([...root.children.values()], 0, 0, place.clientWidth, place.clientHeight, 0);
  place.append(...state.tiles.map((tile) => tile.button));
  const crumbs = byId("crumbs");
  const names = state.folder ? state.folder.split("/") : [];
  crumbs.replaceChildren(crumb("all", ""), ...names.flatMap((name, at) => [" / ", crumb(name, names.slice(0, at + 1).join("/"))]));
  const scale = SCALES[byId("colour").value];
  byId("legend").replaceChildren(scale.words[0], ...[0, 0.25, 0.5, 0.75, 1].map((value) => { const box = element("i"); box.style.background = shade(value); return box; }), scale.words[1]);
}

const crumb = (name, folder) => element("button", { type: "button", on: { click: () => showMap(folder) } }, name);

// Rectangles as square as their areas allow (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).
function layOut(nodes, x, y, width, height, depth) {
  if (width < 3 || height < 3) return;
  let left = nodes.filter((node) => node.bytes > 0).sort((a, b) => b.bytes - a.bytes);
  let total = left.reduce((sum, node) => sum + node.bytes, 0);
  while (left.length && width > 1 && height > 1) {
    const side = Math.min(width, height);
    const unit = (width * height) / total;
    const worst = (row, sum) => { const area = sum * unit; return Math.max((side * side * row[0].bytes * unit) / (area * area), (area * area) / (side * side * row.at(-1).bytes * unit)); };
    let row = [left[0]];
    let sum = left[0].bytes;
    for (const node of left.slice(1)) {
      if (worst([...row, node], sum + node.bytes) > worst(row, sum)) break;
      row.push(node);
      sum += node.bytes;
    }
    const thick = (sum * unit) / side;
    let at = 0;
    for (const node of row) {
      const long = (node.bytes / sum) * side;
      if (width >= height) tile(node, x, y + at, thick, long, depth);
      else tile(node, x + at, y, long, thick, depth);
      at += long;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
    total -= sum;
    left = left.slice(row.length);
  }
}

function tile(node, x, y, width, height, depth) {
  const scale = SCALES[byId("colour").value];
  const label = node.file ? `${node.file.path}: ${bytes(node.bytes)}, ${scale.say(node.file)}` : `${node.path}/: ${bytes(node.bytes)}`;
  const button = element("button", { type: "button", class: node.file ? "" : "folder", tabIndex: -1, title: visible(label), "aria-label": visible(label), on: { click: () => openTile(node) } }, width > 34 && height > 11 ? node.name : "");
  const put = (name, value) => { button.style[name] = `${value}px`; };
  const head = node.file ? height : Math.min(16, height);
  put("left", x); put("top", y); put("width", width); put("height", head);
  if (node.file) button.style.background = shade(scale.of(node.file));
  state.tiles.push({ button, node, label });
  if (!node.file) layOut([...node.children.values()], x + 1, y + head, width - 2, height - head - 1, depth + 1);
}

function openTile(node) {
  if (node.file) openFile(node.file.path, 1, 0);
  else showMap(node.path);
}

function chooseTile(number) {
  if (!state.tiles.length) return;
  state.tiles[state.tile]?.button.removeAttribute("aria-current");
  state.tile = Math.max(0, Math.min(state.tiles.length - 1, number));
  const { button, label } = state.tiles[state.tile];
  button.setAttribute("aria-current", "true");
  byId("map-said").textContent = visible(label);
}

// Health

const FOLLOWING = { off: "edits are not followed", starting: "starting", looking: "looking for edits", running: "indexing", fresh: "up to date", waiting: "waiting", failed: "the last run failed", left: "another process follows", ended: "following ended" };

async function look() {
  if (document.hidden) return;
  try {
    const status = await ask("status");
    const name = status.repository_root.split("/").at(-1) || status.repository_root;
    document.title = `${visible(name)} - code-index`;
    byId("title").textContent = visible(name);
    byId("title").title = visible(status.repository_root);
    fillLanguages(Object.keys(status.languages));
    const { following } = status;
    const share = following.total ? `, ${following.phase} ${count(following.done)} of ${count(following.total)} ${following.unit}` : "";
    byId("state").textContent = visible(`${count(status.files.parsed)} files, ${FOLLOWING[following.state] ?? following.state}${share}`);
    if (state.view === "health") await showHealth(status);
  } catch (error) {
    byId("state").textContent = visible(error.message);
  }
}

function fillLanguages(names) {
  const select = byId("language");
  const known = new Set([...select.options].map((option) => option.value));
  for (const name of names) if (!known.has(name)) select.append(element("option", { value: name }, name));
  if (state.language) { select.value = state.language; state.language = ""; }
}

function pairs(rows) {
  return element("dl", {}, ...rows.flatMap(([name, ...values]) => [element("dt", {}, name), element("dd", {}, ...values)]));
}

function table(title, columns, rows) {
  if (!rows.length) return [];
  return [element("h2", {}, title), element("div", { class: "wide" }, element("table", {},
    element("thead", {}, element("tr", {}, ...columns.map((name) => element("th", { scope: "col" }, name)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...row.map((cell) => element("td", { class: typeof cell === "number" ? "n" : "" }, typeof cell === "number" ? count(cell) : cell ?? "")))))))];
}

const named = (counts) => Object.entries(counts).filter(([, number]) => number).map(([name, number]) => `${count(number)} ${name.replaceAll("_", " ")}`).join(", ") || "none";

async function showHealth(status) {
  const failed = await ask("failed");
  const { following } = status;
  const all = Object.values(status.chunks).reduce((sum, number) => sum + number, 0);
  const rows = [
    ["Repository", status.repository_root],
    ["Index", `${status.index_dir}, ${bytes(Object.values(status.disk_bytes).reduce((sum, size) => sum + size, 0))}`],
    ["Files", named(status.files)],
    ["Chunks", named(status.chunks)],
    ["Vectors", ...(all ? [element("progress", { max: all, value: status.chunks.complete, "aria-label": "Chunks with vectors" }), ` ${Math.floor((100 * status.chunks.complete) / all)} %`] : ["none"])],
    ["Model", status.serving_model],
    ["Following", element("span", { class: following.state === "failed" || following.state === "ended" ? "bad" : following.state === "fresh" ? "good" : "" }, FOLLOWING[following.state] ?? following.state), following.reason ? ` (${following.reason})` : ""],
  ];
  if (following.total) rows.push(["Progress", element("progress", { max: following.total, value: following.done, "aria-label": "Progress of the run" }), ` ${count(following.done)} of ${count(following.total)} ${following.unit}`]);
  for (const [phase, who] of Object.entries(status.holders)) rows.push([`Writes (${phase})`, who]);
  rows.push(["Left out", named(status.skipped)], ["Next", status.next_step]);
  byId("view-health").replaceChildren(
    pairs(rows),
    ...table("Files that failed", ["file", "reason", ""], failed.files.map((item) => [item.file_path, item.reason, item.transient ? "may pass by itself" : "lasts until the file or a setting changes"])),
    ...table("Chunks that failed", ["place", "name", "reason"], failed.chunks.map((item) => [`${item.file_path}:${item.start_line}`, item.qualified_name, item.reason])),
    ...(failed.files.length || failed.chunks.length ? [element("p", { class: "more" }, "Retry: code-index resume --failed")] : [element("p", { class: "good" }, "Nothing failed.")]),
    ...table("Languages", ["language", "files"], Object.entries(status.languages)));
}

// Views, keys, the address

function show(view) {
  state.view = view;
  for (const name of ["search", "map", "health"]) {
    byId(`view-${name}`).hidden = name !== view;
    byId(`tab-${name}`).setAttribute("aria-pressed", String(name === view));
  }
  remember();
  if (view === "map") showMap();
  if (view === "health") look();
}

function remember() {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(asked())) if (value && value !== "hybrid") kept.set(name, value);
  if (state.view !== "search") kept.set("view", state.view);
  if (state.open) for (const [name, value] of Object.entries(state.open)) kept.set(name, value);
  history.replaceState(null, "", kept.size ? `#${kept}` : location.pathname);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  byId("query").value = kept.get("query") ?? "";
  byId("glob").value = kept.get("glob") ?? "";
  byId("content").value = kept.get("content") ?? "all";
  byId("mode").value = kept.get("mode") ?? "hybrid";
  state.language = kept.get("language") ?? "";
  if (state.language) fillLanguages([state.language]);
  const open = kept.get("path") && [kept.get("path"), Number(kept.get("line") ?? 1), Number(kept.get("end") ?? 0)];
  const view = kept.get("view");
  if (byId("query").value) search();
  if (view === "map" || view === "health") show(view);
  if (open) openFile(...open);
}

function move(step) {
  if (state.view === "map") chooseTile(state.tile + step);
  else if (state.view === "search") {
    choose(state.chosen + step);
    if (!byId("detail").hidden && matchMedia("(min-width: 861px)").matches) openHit(state.chosen);
  }
}

const KEYS = {
  "/": () => { byId("query").focus(); byId("query").select(); },
  j: () => move(1),
  k: () => move(-1),
  Enter: () => { if (state.view === "map") { if (state.tile >= 0) openTile(state.tiles[state.tile].node); } else if (state.view === "search") openHit(state.chosen); },
  w: () => { const details = byId("results").children[state.chosen]?.querySelector("details"); if (details) details.open = !details.open; },
  s: () => show("search"),
  m: () => show("map"),
  h: () => show("health"),
  "?": () => byId("help").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  const field = event.target.closest("input, select, textarea");
  // The box has the focus at first: "/" means to go there, not a slash.
  if (event.key === "/" && field?.id === "query" && !field.value) { event.preventDefault(); return; }
  if (event.key === "Escape") {
    if (field) field.blur();
    else if (!byId("detail").hidden) closeFile();
    else if (state.view !== "search") show("search");
    return;
  }
  if (field || (event.key === "Enter" && event.target.closest("button, summary, a"))) return;
  const run = KEYS[event.key];
  if (run) { event.preventDefault(); run(); }
});

byId("form").addEventListener("submit", (event) => { event.preventDefault(); byId("query").blur(); if (state.view !== "search") show("search"); search(); });
byId("query").addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); byId("form").requestSubmit(); } });
for (const id of ["language", "content", "mode", "glob"]) byId(id).addEventListener("change", search);
for (const name of ["search", "map", "health"]) byId(`tab-${name}`).addEventListener("click", () => show(name));
byId("help-button").addEventListener("click", () => byId("help").showModal());
byId("colour").addEventListener("change", drawMap);
addEventListener("resize", () => { below(); if (state.view === "map" && state.map) drawMap(); });
document.addEventListener("visibilitychange", look);
const below = () => document.documentElement.style.setProperty("--below", `${document.querySelector("header").offsetHeight}px`);

below();
recall();
look();
setInterval(look, 4000);
if (!location.hash) byId("query").focus();
