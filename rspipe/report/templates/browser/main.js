// The page itself: what is shown follows from the state in the address, and nothing else.
const byId = (id) => document.getElementById(id);
const dialog = byId("story");
let state = stateOf(location.hash);
let rows = [];

// The depth says how many stories lie between this one and the grid, for closing.
function go(change, { replace = false, depth = 0 } = {}) {
  const next = { ...state, ...change };
  history[replace ? "replaceState" : "pushState"]({ depth }, "", hashOf(next));
  render();
}
const depth = () => history.state?.depth ?? 0;
const open = (row) => go({ tile: tiles.key[row] }, { depth: depth() + 1 });
const step = (by) => {
  const at = rows.indexOf(rowOf.get(state.tile)) + by;
  if (at >= 0 && at < rows.length) go({ tile: tiles.key[rows[at]] }, { replace: true, depth: depth() });
};
const close = () => (depth() ? history.go(-depth()) : go({ tile: null }, { replace: true }));

function toggle(name, value) {
  const chosen = new Set(state[name]);
  if (!chosen.delete(value)) chosen.add(value);
  go({ [name]: chosen });
}

const isFiltered = (s) => Object.keys(FACETS).some((name) => s[name].size) || s.from !== null || s.to !== null || s.q !== "";
const unfiltered = () => ({ ...emptyState(), order: state.order });
const filterKey = (s) => hashOf({ ...s, tile: null });
let shownFilter = null;

function render() {
  state = stateOf(location.hash);
  const key = filterKey(state);
  if (key !== shownFilter) {
    const isFirst = shownFilter === null;
    shownFilter = key;
    rows = found(state);
    drawFilters();
    drawFunnel();
    drawBar();
    grid.show(rows, (row) => hashOf({ ...state, tile: tiles.key[row] }), open);
    const bar = byId("bar").getBoundingClientRect().top;
    if (!isFirst && bar < 0) scrollTo(0, scrollY + bar);
  }
  drawStory();
}

function drawStory() {
  const row = rowOf.get(state.tile ?? "") ?? null;
  document.title = `${row === null ? "" : `${nameOf(row)} · `}${page.corpus.name} · corpus browser`;
  if (row === null) {
    if (state.tile) byId("notice").textContent = `No tile ${state.tile} on this page; rspipe corpus show finds every one.`;
    const last = dialog.dataset.at;
    if (dialog.open) {
      dialog.close();
      if (last) grid.focus(Number(last));
    }
    return;
  }
  const at = rows.indexOf(row);
  const pressed = dialog.contains(document.activeElement) ? document.activeElement.id : "";
  dialog.dataset.at = at >= 0 ? at : "";
  dialog.replaceChildren(...story(row, { at: at >= 0 ? at : null, count: rows.length, open, step, close }));
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  dialog.querySelector(".story").scrollTop = 0;
  // Who steps through the stories stays on the button; whoever comes in hears the title.
  const button = ["previous", "next"].includes(pressed) ? byId(pressed) : null;
  (button && !button.disabled ? button : byId("story-title")).focus({ preventScroll: true });
}

function drawFunnel() {
  const longest = {};
  for (const s of page.funnel) longest[s.unit] = Math.max(longest[s.unit] ?? 1, s.rows_in);
  const reason = ([fate, n]) => make("button", {
    type: "button", class: "reason", "aria-pressed": String(state.fate.has(fate)), click: () => toggle("fate", fate), disabled: !fateWords.has(fate),
  }, dot(fate), make("b", {}, number(n)), ` ${fateWords.get(fate) ?? fate.split(".")[1]}`);
  const line = (s) => {
    const bar = make("span", { class: "bar", "aria-hidden": "true" }, [["kept", s.kept], ...s.dropped].filter(([, n]) => n).map(([fate, n]) => {
      const part = make("i", { class: `of-${colourOf(fate)}`, title: `${fateWords.get(fate) ?? fate}: ${number(n)}` });
      part.style.width = `${(100 * n) / longest[s.unit]}%`;
      return part;
    }));
    const isLast = s === page.funnel.at(-1);
    return make("div", { class: "stage" },
      make("span", { class: "name", title: s.words }, s.stage), bar,
      make("span", { class: "end" }, make("b", {}, number(s.kept)), ` ${s.unit}`),
      make("span", { class: "reasons" }, isLast ? reason([KEPT, s.kept]) : null, s.dropped.map(reason)));
  };
  byId("funnel").replaceChildren(...page.funnel.map(line));
}

function drawFilters() {
  const active = document.activeElement?.id;
  const search = make("input", { type: "search", id: "q", value: state.q, placeholder: "path, label, id, licence …", autocomplete: "off", spellcheck: "false" });
  const groups = Object.entries(FACETS).map(([name, facet]) => facetGroup(name, facet)).filter(Boolean);
  const old = byId("q");
  const field = make("div", { class: "group" }, make("label", { for: "q", class: "heading" }, "Search ", make("kbd", {}, "/")), old ?? search);
  if (old && old !== document.activeElement) old.value = state.q;
  const fates = groups.shift();
  byId("filters").replaceChildren(...[field, fates, ...groups.slice(0, 4), resolutionGroup(), ...groups.slice(4)].filter(Boolean));
  if (active) byId(active)?.focus({ preventScroll: true });
}

// All values of a facet in an order that no filter changes: fates by stage, others by frequency.
const everyValue = {};
function valuesOf(name) {
  const order = page.fates.map(([fate]) => fate);
  everyValue[name] ??= [...countBy(emptyState(), name)].sort(([a, n], [b, m]) =>
    (name === "fate" ? order.indexOf(a) - order.indexOf(b) : m - n || place(a, b))).map(([value]) => value);
  return everyValue[name];
}

function facetGroup(name, facet) {
  const counts = countBy(state, name);
  const known = valuesOf(name);
  const sorted = [...new Set([...known, ...state[name]])].map((value) => [value, counts.get(value) ?? 0]);
  if (!sorted.length) return null;
  const most = Math.max(...sorted.map(([, n]) => n), 1);
  const options = sorted.slice(0, 40).map(([value, n], i) => {
    const id = `${name}:${value}`;
    const box = make("input", { type: "checkbox", id, "data-facet": name, "data-value": value, change: () => toggle(name, value) });
    box.checked = state[name].has(value);
    const share = make("i", { class: name === "fate" ? `share of-${colourOf(value)}` : "share", "aria-hidden": "true" });
    share.style.width = `${(100 * n) / most}%`;
    const option = make("label", { class: n ? "option" : "option none", for: id }, box, name === "fate" ? dot(value) : null,
      make("span", { class: "words" }, facet.words(value)), make("span", { class: "n" }, number(n)), share);
    if (name !== "fate" || value === KEPT) return option;
    // Two stages may drop for one reason: the first option of a stage names it.
    const isFirst = !sorted.slice(0, i).some(([other]) => stageOf(other) === stageOf(value));
    return isFirst ? [make("p", { class: "stage-name" }, `dropped by ${stageOf(value)}`), option] : option;
  });
  const rest = sorted.length - 40;
  return make("fieldset", { class: "group" }, make("legend", { class: "heading" }, facet.title, facet.onPageOnly && !isComplete ? make("small", {}, " on this page") : null),
    options, rest > 0 ? make("p", { class: "soft small" }, `${plural(rest, "more value")}: search for them.`) : null);
}

function resolutionGroup() {
  const counts = countBy(state, "gsd");
  const edges = page.gsd_edges_m;
  const known = edges.slice(0, -1).map((_, i) => counts.get(i) ?? 0);
  if (!known.some(Boolean) && state.from === null && state.to === null) return null;
  const most = Math.max(...known, 1);
  const names = known.map((_, i) => (i === known.length - 1 ? `${edges[i]} m or more` : `${edges[i]} to ${edges[i + 1]} m`));
  const columns = make("div", { class: "histogram", role: "img", "aria-label": names.map((name, i) => `${name}: ${known[i]}`).join("; ") }, known.map((n, i) => {
    const bar = make("i", { title: `${names[i]}: ${number(n)}`, class: isInRange(state, i) ? "in" : null });
    bar.style.height = `${n ? Math.max(4, (100 * n) / most) : 0}%`;
    return make("span", {}, bar);
  }));
  const select = (name, words, options) => {
    const field = make("select", { id: `gsd-${name}`, change: (event) => go({ [name]: event.target.value === "" ? null : Number(event.target.value) }) },
      make("option", { value: "" }, "any"), options.map((edge) => make("option", { value: edge }, `${edge} m`)));
    field.value = state[name] === null ? "" : String(state[name]);
    return make("label", { for: field.id }, words, field);
  };
  const missing = (counts.get(-1) ?? 0) + (counts.get(NOT_RECORDED) ?? 0);
  return make("fieldset", { class: "group" }, make("legend", { class: "heading" }, "Ground resolution"), columns,
    make("div", { class: "range" }, select("from", "from ", edges.slice(1, -1)), select("to", "to ", edges.slice(1, -1))),
    make("p", { class: "soft small" }, `${number(missing)} of unknown resolution; the ledger has none of what was dropped.`));
}

function drawBar() {
  const total = countOf(state);
  const shown = number(rows.length);
  const things = plural(total, "tile or file", "tiles and files");
  byId("count").replaceChildren(make("b", {}, countsAll(state) ? things : `${plural(rows.length, "match", "matches")} on this page`),
    isComplete || !countsAll(state) ? "" : `, ${shown} of them on this page`);
  const chips = Object.entries(FACETS).flatMap(([name, facet]) => [...state[name]].map((value) =>
    chip(`${name === "fate" ? stageOf(value) === value ? "" : `${stageOf(value)}: ` : ""}${facet.words(value)}`, () => toggle(name, value))));
  if (state.from !== null) chips.push(chip(`from ${state.from} m`, () => go({ from: null })));
  if (state.to !== null) chips.push(chip(`to ${state.to} m`, () => go({ to: null })));
  if (state.q) chips.push(chip(`“${state.q}”`, () => { byId("q").value = ""; go({ q: "" }); }));
  if (chips.length) chips.push(make("button", { type: "button", class: "link", click: () => go(unfiltered()) }, "Clear all"));
  byId("chips").replaceChildren(...chips);
  byId("toggle").textContent = chips.length ? `Filters (${chips.length - 1})` : "Filters";
  byId("nothing").hidden = rows.length > 0;
  byId("notice").textContent = countsAll(state) ? "" : "Labels and words are known of the rows on this page alone.";
  byId("order").value = state.order;
}

const chip = (words, remove) => make("button", { type: "button", class: "chip", title: "Remove this filter", click: remove }, words, make("span", { "aria-hidden": "true" }, " ✕"));

function drawAbout() {
  const { sample, corpus } = page;
  const on = isComplete
    ? `All ${number(sample.total)} tiles and dropped files are on this page.`
    : `${number(allRows.length)} of ${number(sample.total)} tiles and dropped files are on this page: of every source and fate at least ${number(sample.level)}, or all there are, and up to ${number(sample.most_hits)} that hit a benchmark, drawn by a hash (seed ${sample.seed}), with their survivors, copies and neighbours. Counts are of the whole corpus, and exact.`;
  byId("about").replaceChildren(on, ` Corpus ${corpus.fingerprint}, schema v${corpus.schema_version}.`);
}

let typing = null;
function start() {
  drawAbout();
  byId("order").append(...Object.entries(ORDERS).map(([value, words]) => make("option", { value }, words)));
  byId("order").addEventListener("change", (event) => go({ order: event.target.value }));
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("filters").addEventListener("input", (event) => {
    if (event.target.id !== "q") return;
    clearTimeout(typing);
    // One step back undoes a search, however many letters it had.
    typing = setTimeout(() => go({ q: event.target.value.trim() }, { replace: state.q !== "" }), 150);
  });
  byId("skip").addEventListener("click", () => grid.focus(0));
  byId("clear").addEventListener("click", () => go(unfiltered()));
  byId("toggle").addEventListener("click", () => {
    const isOpen = document.body.classList.toggle("filtering");
    byId("toggle").setAttribute("aria-expanded", String(isOpen));
  });
  addEventListener("popstate", render);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) close(); });
  addEventListener("keydown", (event) => {
    const isTyping = event.target.matches?.("input, select, textarea");
    if (dialog.open && (event.key === "ArrowLeft" || event.key === "ArrowRight")) step(event.key === "ArrowLeft" ? -1 : 1);
    else if (!dialog.open && !isTyping && event.key === "/") byId("q").focus();
    else return;
    event.preventDefault();
  });
  render();
}
start();
