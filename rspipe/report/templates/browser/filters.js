// What is filtered: a state that lives in the address after #, so that it can be shared and undone.
const annotationOf = (row) => {
  if (tiles.fate[row] !== KEPT) return NOT_RECORDED;
  const has = { label: tiles.label, boxes: tiles.boxes, caption: tiles.caption };
  return page.annotations.reduce((bits, name, bit) => {
    const there = name === "mask" ? tiles.mask[row] : has[name][row] !== null;
    return bits | ((there ? 1 : 0) << bit);
  }, 0);
};
const gsdClassOf = (row) => {
  if (tiles.fate[row] !== KEPT) return NOT_RECORDED;
  const gsd = tiles.gsd_m[row];
  if (gsd === null) return -1;
  return page.gsd_edges_m.slice(1, -1).filter((edge) => gsd >= edge).length;
};
// Rows of the page by the same dimensions as the counts of everything.
const kinds = {
  source: tiles.dataset,
  fate: tiles.fate,
  licence: tiles.licence.map((licence) => licence ?? ""),
  benchmark: tiles.benchmark_hit.map((hit) => (hit ?? "").split("/")[0]),
  gsd: allRows.map(gsdClassOf),
  annotation: allRows.map(annotationOf),
};

const annotationNames = (bits) => {
  if (bits === NOT_RECORDED) return ["not recorded"];
  const names = page.annotations.filter((_, bit) => bits & (1 << bit));
  return names.length ? names : ["none"];
};
const FACETS = {
  fate: { title: "What became of it", values: (t, i) => [t.fate[i]], words: (v) => fateWords.get(v) ?? v },
  source: { title: "Source", values: (t, i) => [t.source[i]], words: (v) => v },
  licence: { title: "Licence", values: (t, i) => [t.licence[i]], words: (v) => v || "not stated" },
  benchmark: { title: "Picture of a benchmark", values: (t, i) => (t.benchmark[i] ? [t.benchmark[i]] : []), words: (v) => v },
  annotation: { title: "Annotation", values: (t, i) => annotationNames(t.annotation[i]), words: (v) => v },
  label: { title: "Label", values: (t, i) => (t === kinds && tiles.label[i] !== null ? tiles.label[i].split("|") : []), words: (v) => v, onPageOnly: true },
};
const ORDERS = {
  drawn: "Pictures first, at random",
  path: "By source and path",
  copies: "Most copies first",
  flat: "Flattest first",
  sharp: "Sharpest first",
};

const emptyState = () => ({
  ...Object.fromEntries(Object.keys(FACETS).map((name) => [name, new Set()])),
  from: null, to: null, q: "", order: "drawn", tile: null,
});

function stateOf(hash) {
  const words = new URLSearchParams(hash.replace(/^#/, ""));
  const state = emptyState();
  for (const name of Object.keys(FACETS)) state[name] = new Set(words.getAll(name));
  for (const name of ["from", "to"]) {
    const edge = Number(words.get(name));
    state[name] = words.has(name) && page.gsd_edges_m.includes(edge) ? edge : null;
  }
  state.q = words.get("q") ?? "";
  state.order = words.get("order") in ORDERS ? words.get("order") : "drawn";
  state.tile = words.get("tile");
  return state;
}

function hashOf(state) {
  const words = new URLSearchParams();
  for (const name of Object.keys(FACETS)) for (const value of state[name]) words.append(name, value);
  for (const name of ["from", "to"]) if (state[name] !== null) words.set(name, state[name]);
  if (state.q) words.set("q", state.q);
  if (state.order !== "drawn") words.set("order", state.order);
  if (state.tile) words.set("tile", state.tile);
  return `#${words}`;
}

const searched = [];
function searchText(row) {
  searched[row] ??= [pathOf(row), tiles.key[row], tiles.label[row], tiles.caption[row], tiles.attribution[row],
    tiles.licence[row], tiles.drop_detail[row], tiles.sensor[row], tiles.split[row], fateWords.get(tiles.fate[row])].join("\n").toLowerCase();
  return searched[row];
}

const isInRange = (state, gsdClass) => {
  if (state.from === null && state.to === null) return true;
  if (gsdClass < 0) return false;
  const low = page.gsd_edges_m[gsdClass], high = page.gsd_edges_m[gsdClass + 1];
  return (state.from === null || low >= state.from) && (state.to === null || high <= state.to);
};

// Whether row i of a table (the page's rows, or the cells of the counts) passes all facets but one.
function passes(state, t, i, except = null) {
  for (const [name, facet] of Object.entries(FACETS)) {
    if (name === except || !state[name].size) continue;
    if (!facet.values(t, i).some((value) => state[name].has(value))) return false;
  }
  return except === "gsd" || isInRange(state, t.gsd[i]);
}

const wordsOf = (state) => state.q.toLowerCase().split(/\s+/).filter(Boolean);
const isSearched = (state, words, row) => words.every((word) => searchText(row).includes(word));

// Labels and free text are known of the page's rows alone, so only without them are counts of
// everything at hand; where the page holds everything, its own rows are the exact counts.
const countsAll = (state) => isComplete || (!state.q && !state.label.size);

function* matching(state, except = null) {
  if (countsAll(state) && !isComplete) {
    for (let i = 0; i < cells.count.length; i++) if (passes(state, cells, i, except)) yield [cells, i, cells.count[i]];
    return;
  }
  const words = wordsOf(state);
  for (const row of allRows) {
    if (passes(state, kinds, row, except) && isSearched(state, words, row)) yield [kinds, row, 1];
  }
}

function countBy(state, name) {
  const counts = new Map();
  const values = name === "gsd" ? (t, i) => [t.gsd[i]] : FACETS[name].values;
  const found = FACETS[name]?.onPageOnly ? onPage(state, name).map((row) => [kinds, row, 1]) : matching(state, name);
  for (const [t, i, n] of found) {
    for (const value of values(t, i)) counts.set(value, (counts.get(value) ?? 0) + n);
  }
  return counts;
}

const countOf = (state) => [...matching(state)].reduce((sum, [, , n]) => sum + n, 0);

function onPage(state, except = null) {
  const words = wordsOf(state);
  return allRows.filter((row) => passes(state, kinds, row, except) && isSearched(state, words, row));
}

const place = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const COMPARE = {
  drawn: (a, b) => (pictures[a] === null) - (pictures[b] === null) || a - b,
  path: (a, b) => place(pathOf(a), pathOf(b)) || tiles.y0[a] - tiles.y0[b] || tiles.x0[a] - tiles.x0[b],
  copies: (a, b) => tiles.copies[b] - tiles.copies[a] || COMPARE.drawn(a, b),
  flat: (a, b) => (tiles.flatness[b] ?? -1) - (tiles.flatness[a] ?? -1) || a - b,
  sharp: (a, b) => (tiles.sharpness[b] ?? -1) - (tiles.sharpness[a] ?? -1) || a - b,
};
const found = (state) => onPage(state).sort(COMPARE[state.order]);
