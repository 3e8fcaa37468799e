// The whole story of one tile or file.
const section = (title, parts, note = null) => make("section", {}, make("h3", {}, title), note ? make("p", { class: "soft small" }, note) : null, parts);

function verdict(row) {
  const fate = tiles.fate[row];
  if (fate === KEPT) {
    return make("p", { class: "verdict kept" }, make("b", {}, "Kept."), tiles.copies[row]
      ? ` It passed every stage, and ${plural(tiles.copies[row], "tile")} ${tiles.copies[row] === 1 ? "was" : "were"} dropped for it.`
      : " It passed every stage, and no other tile was dropped for it.");
  }
  if (fate === "exclude.benchmark_split") {
    return make("div", { class: "verdict held" }, make("b", {}, "Held out."), " A benchmark's picture: compared with every tile, and never packed.", recorded(row));
  }
  return make("div", { class: "verdict dropped" }, make("b", {}, `Dropped by ${stageOf(fate)}: ${fateWords.get(fate)}.`), recorded(row));
}

// The ledger's own words: the measured value against its limit, or the match.
const recorded = (row) => (tiles.drop_detail[row] ? make("p", { class: "small" }, breakable(tiles.drop_detail[row])) : null);

// The stages in order, as far as this row came.
function track(row) {
  const fate = tiles.fate[row];
  const end = STAGES.indexOf(stageOf(fate));
  const isHeld = fate === "exclude.benchmark_split";
  const isPast = fate !== KEPT && end < 0;
  return make("ol", { class: "track", "aria-label": "Stages" }, STAGES.map((stage, i) => {
    const at = fate === KEPT || isPast || i < end ? "passed" : i === end ? (isHeld ? "held out" : "dropped here") : "not reached";
    return make("li", { class: at.replaceAll(" ", "-") }, make("span", {}, stage), make("small", {}, at));
  }), isPast ? make("li", { class: "dropped-here" }, make("span", {}, stageOf(fate)), make("small", {}, "dropped here")) : null);
}

function measures(row) {
  const { screen } = page.limits;
  const known = Object.entries(page.measures).filter(([name]) => tiles[name][row] !== null);
  if (!known.length) return null;
  const lines = known.map(([name, [words, low, high]]) => {
    const value = tiles[name][row];
    const least = screen[low] ?? null, most = screen[high] ?? null;
    const isBroken = (least !== null && value < least) || (most !== null && value > most);
    const limit = [least === null ? null : `at least ${least}`, most === null ? null : `at most ${most}`].filter(Boolean).join(", ");
    return make("tr", { class: isBroken ? "broken" : null },
      make("th", { scope: "row" }, words), make("td", { class: "num" }, short(value)),
      make("td", {}, meter(value, name, least, most)), make("td", { class: "soft" }, limit ? `${isBroken ? "✗" : "✓"} ${limit}` : "no limit"));
  });
  return section("Measured", make("table", { class: "measures" }, make("tbody", {}, lines)));
}

// A bar with the limit marked, for shares and grey levels.
function meter(value, name, least, most) {
  const full = name.endsWith("_grey") ? 255 : name === "sharpness" ? null : 1;
  if (full === null) return null;
  const bar = make("span", { class: "meter", "aria-hidden": "true" }, make("i"));
  bar.firstChild.style.width = `${Math.min(100, (100 * value) / full)}%`;
  for (const limit of [least, most]) {
    if (limit === null) continue;
    const mark = make("b");
    mark.style.left = `${(100 * limit) / full}%`;
    bar.append(mark);
  }
  return bar;
}

function origin(row) {
  const of = (name) => tiles[name][row];
  const place = of("xmin") === null ? null : `${of("xmin")}° to ${of("xmax")}° E, ${of("ymin")}° to ${of("ymax")}° N`;
  const isWhole = of("original_bytes") === true;
  const window = of("h") === null ? null : isWhole ? "the whole image, its published bytes" : windowOf(row);
  const scaled = of("scale") !== null && of("scale") !== 1 ? `resampled by ${short(of("scale"))}` : null;
  const stretch = of("stretch_low") === null ? null : `${of("stretch_low")} to ${of("stretch_high")} became 0 to 255`;
  return make("div", {},
    facts("Origin", [
      ["source", [of("dataset"), of("dataset_version") ? `version ${of("dataset_version")}` : null].filter(Boolean).join(", ")],
      ["split", of("split")],
      ["file", breakable(of("source_path"))],
      ["file size", of("source_size_bytes") === null ? null : `${number(of("source_size_bytes"))} bytes`],
      ["SHA-256", code(of("source_sha256"))],
      ["window", window],
      ["size", of("height") === null ? null : `${of("height")} × ${of("width")} px${of("bands") ? `, ${plural(of("bands"), "band")}` : ""}${of("format") ? `, ${of("format")}` : ""}`],
      ["pixels", [scaled, stretch].filter(Boolean).join("; ")],
      ["ground resolution", of("gsd_m") === null ? null : `${short(of("gsd_m"), 4)} m`],
      ["place", place],
      ["CRS of the source", of("crs")],
      ["acquired", of("acquired")],
      ["sensor", of("sensor")],
      ["cloud cover, as published", of("cloud_cover") === null ? null : `${short(100 * of("cloud_cover"))} %`],
    ]),
    facts("Annotation", [
      ["label", of("label")],
      ["objects", of("boxes") === null ? null : `${number(of("boxes").count)}${of("boxes").count ? `: ${[...new Set(of("boxes").labels)].join(", ")}` : " (looked at, none found)"}`],
      ["mask", of("mask") ? "yes" : null],
      ["caption", of("caption")],
      ["the same place at another time", of("pair_path")],
      ["not carried along", of("annotation_note")],
    ]));
}

// The ledger has no attribution of what was dropped: its source's stands in, where that has but one.
const attributionOf = new Map();
for (const row of allRows) {
  const of = tiles.dataset[row], said = tiles.attribution[row];
  if (said !== null) attributionOf.set(of, attributionOf.has(of) && attributionOf.get(of) !== said ? null : said);
}

function rights(row) {
  const of = (name) => tiles[name][row];
  return make("div", { class: "rights" },
    facts("Rights", [
      ["licence", licence(row)],
      ["attribution", of("attribution") ?? attributionOf.get(of("dataset"))],
      ["may be passed on", of("fate") === KEPT ? { true: "yes", false: "no", null: "not stated" }[of("redistributable")] : null],
    ]),
    facts("Ledger", [
      [isFile(row) ? "image id" : "tile id", code(tiles.key[row])],
      ["command", code(`rspipe corpus show CORPUS ${isFile(row) ? `'${pathOf(row).replaceAll("'", "'\\''")}'` : tiles.key[row]}`)],
    ]));
}

const code = (text) => (text === null ? null : make("code", {}, text));

function facts(title, lines) {
  const known = lines.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!known.length) return null;
  return section(title, make("dl", { class: "facts" }, known.map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])));
}

// Addresses come from strangers too: only the web's own are made links.
function licence(row) {
  const name = tiles.licence[row] ?? "not stated";
  const url = tiles.licence_url[row];
  if (url === null) return name;
  const isWeb = /^https?:\/\//i.test(url);
  return [name, " ", isWeb ? make("a", { href: url, rel: "noopener noreferrer", target: "_blank" }, "terms") : `(${url})`];
}

function large(row) {
  const shown = make("div", { class: "large" }, picture(row));
  if (tiles.boxes[row]?.outlines.length) {
    const drawing = make("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", role: "img", "aria-label": `${plural(tiles.boxes[row].count, "object")} outlined` });
    tiles.boxes[row].outlines.forEach((outline, i) => {
      drawing.append(make("polygon", { points: outline.join(" ") }, make("title", {}, tiles.boxes[row].labels[i] ?? "")));
    });
    shown.append(drawing);
    shown.style.aspectRatio = `${tiles.width[row]} / ${tiles.height[row]}`;
  }
  return make("div", {}, shown, pictures[row] === null ? make("p", { class: "small soft" }, whyNoPicture(row)) : null);
}

function whyNoPicture(row) {
  const fate = tiles.fate[row];
  if (fate === "kept") return "Left out, so that this page stays openable; the corpus holds it.";
  if (isFile(row)) return "A file that never became tiles: there is nothing to show but its record.";
  if (fate === "exclude.benchmark_split") return "Of held-out benchmarks the corpus keeps the pictures that were found in the sources, and no others.";
  if (tiles.pixel_hash?.[row] === null) return "Its pixels could not be read.";
  return "A corpus holds the pixels of what it kept. Of what was dropped curation leaves a few small pictures per reason; this is none of them.";
}

function story(row, { at, count, open, step, close }) {
  const image = imageOf.get(tiles.image_id[row]);
  const isWindow = tiles.original_bytes[row] === false && image;
  const button = (id, words, title, click, disabled = false) => make("button", { type: "button", id, title, "aria-label": title, click, disabled }, words);
  return [
    make("header", {},
      make("div", {},
        make("p", { class: "soft small where" }, dot(tiles.fate[row]), `${tiles.dataset[row]}${at === null ? "" : ` · ${number(at + 1)} of ${number(count)}`}`),
        make("h2", { id: "story-title", tabindex: "-1" }, breakable(nameOf(row)))),
      make("nav", { "aria-label": "Stories" },
        button("previous", "←", "Previous (left arrow)", () => step(-1), at === null || at === 0),
        button("next", "→", "Next (right arrow)", () => step(1), at === null || at === count - 1),
        button("close", "✕", "Close (Escape)", close))),
    make("div", { class: "story" },
      make("div", { class: "left" },
        large(row),
        isWindow ? section("Where it was cut", wholeImage(image, row, open)) : null,
        rights(row)),
      make("div", { class: "right" },
        verdict(row), track(row),
        duplicateSection(row, open), hitSection(row, open),
        measures(row), origin(row))),
  ];
}
