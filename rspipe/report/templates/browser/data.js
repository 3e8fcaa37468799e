"use strict";
// The page's data as columns, and the few ways in which text and elements are made.
// Whatever comes from a corpus was written by strangers: it becomes text nodes and nothing else.
const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const page = parsed("data");
const pictures = parsed("pictures");
const column = (c) => (Array.isArray(c) ? c : c.codes.map((code) => c.values[code]));
const table = (columns) => Object.fromEntries(Object.entries(columns).map(([name, c]) => [name, column(c)]));

const tiles = table(page.tiles);
const cells = table(page.cells);
const hits = table(page.hits);
const rowOf = new Map(tiles.key.map((key, row) => [key, row]));
const imageOf = new Map(page.images.map((image) => [image.id, image]));
const imageOfParent = new Map(page.images.filter((i) => i.parent).map((image) => [image.parent, image]));
for (const image of page.images) image.fates = column(image.fates);
const allRows = tiles.key.map((_, row) => row);
const isComplete = page.sample.total === allRows.length;

const KEPT = "kept";
const NOT_RECORDED = -2;
const STAGES = ["ingest", "exclude", "slice", "screen", "dedup", "leakage", "pack"];
const fateWords = new Map(page.fates);
const stageOf = (fate) => fate.split(".")[0];
const isFile = (row) => tiles.tile_id[row] === null;
const pathOf = (row) => `${tiles.dataset[row]}/${tiles.source_path[row]}`;
const windowOf = (row) => (tiles.h[row] === null || tiles.original_bytes[row] ? "" : `y ${tiles.y0[row]}, x ${tiles.x0[row]}, ${tiles.h[row]} × ${tiles.w[row]} px`);
const nameOf = (row) => tiles.source_path[row].split("/").pop() || tiles.source_path[row];

const number = (value) => value.toLocaleString("en-US");
const short = (value, digits = 3) => (value === null || value === undefined ? "–" : String(Number(value.toPrecision(digits))));
const plural = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

// Make an element: attributes, then text and elements. Event handlers are functions, never text.
function make(tag, attributes = {}, ...children) {
  const isDrawn = ["svg", "rect", "polygon", "title"].includes(tag);
  const element = isDrawn
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

// Long paths break after their slashes and joints.
const breakable = (text) => {
  const parts = text.match(/[^/_.-]*[/_.-]|[^/_.-]+/g) || [];
  return parts.flatMap((part, i) => (i ? [make("wbr"), part] : [part]));
};

const colourOf = (fate) => (fate === "exclude.benchmark_split" ? "held" : stageOf(fate));
const dot = (fate) => make("i", { class: `dot of-${colourOf(fate)}`, "aria-hidden": "true" });

function picture(row, words) {
  const data = pictures[row];
  if (data === null) return noPicture(row);
  return make("img", { src: `data:image/webp;base64,${data}`, alt: words ?? altOf(row), decoding: "async" });
}

function altOf(row) {
  return `${pathOf(row)}, ${fateWords.get(tiles.fate[row])}`;
}

function noPicture(row) {
  return make("span", { class: "nopicture", role: "img", "aria-label": `No picture. ${altOf(row)}` },
    make("b", { "aria-hidden": "true" }, isFile(row) ? "file" : "no picture"),
    make("span", { "aria-hidden": "true" }, breakable(nameOf(row))));
}
