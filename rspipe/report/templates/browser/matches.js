// Pictures that are the same, side by side: the copy, the copy turned back, and what differs.
// An orientation says what was done to the original to get the copy; these undo it.
const UNDO = {
  identity: "none", rot90: "rotate(90deg)", rot180: "rotate(180deg)", rot270: "rotate(-90deg)",
  flip_lr: "scaleX(-1)", flip_ud: "scaleY(-1)",
  transpose: "matrix(0, 1, 1, 0, 0, 0)", transverse: "matrix(0, -1, -1, 0, 0, 0)",
};

const panel = (title, content) => make("figure", { class: "panel" }, make("div", { class: "square" }, content), make("figcaption", {}, title));

function turned(row, orientation) {
  const image = picture(row, `${pathOf(row)}, turned back`);
  image.style.transform = UNDO[orientation] ?? "none";
  return image;
}

function difference(original, copy, orientation) {
  const over = turned(copy, orientation);
  over.classList.add("over");
  over.alt = "";
  return make("div", { class: "difference", role: "img", "aria-label": "Difference of the two pictures; black where they are equal" }, picture(original, ""), over);
}

// Two pictures and how alike they are. `open` shows the story of either.
// Windows and footprints only share ground: there is nothing to turn or to subtract.
function pair({ original, copy, orientation, titles, facts, open, sharesGround = false }) {
  const way = orientation ?? "identity";
  const name = (row, title) => make("span", {}, make("b", {}, title), " ",
    row === null ? "not on this page" : make("button", { type: "button", class: "link path", click: () => open(row) }, breakable(pathOf(row))), " ", row === null ? "" : windowOf(row));
  const shown = (row) => (row === null ? make("span", { class: "nopicture" }, "not on this page") : picture(row));
  const both = !sharesGround && original !== null && copy !== null && pictures[original] !== null && pictures[copy] !== null;
  return make("div", { class: "pair" },
    make("div", { class: "panels" },
      panel(titles[0], shown(original)),
      panel(titles[1], shown(copy)),
      both && way !== "identity" ? panel("turned back", turned(copy, way)) : null,
      both ? panel("difference × 2", difference(original, copy, way)) : null),
    make("p", { class: "facts" },
      sharesGround ? null : make("span", { class: way === "identity" ? "" : "turned" }, page.orientations[way] ?? way),
      facts.filter(Boolean).map((fact) => make("span", {}, fact))),
    make("p", { class: "names small" }, name(original, `${titles[0]}:`), name(copy, `${titles[1]}:`)));
}

const KIND_WORDS = { bytes: "the same file, byte for byte", pixels: "the same pixels", near: "nearly the same picture", footprint: "the same ground" };
const within = (value, limit, unit) => (value === null ? null : `${short(value)}${unit}${limit === undefined || limit === null ? "" : ` (limit ${limit})`}`);

// How a dropped tile resembles its survivor, with the limits of the recipe.
function closeness(row) {
  const { dedup } = page.limits;
  const reason = tiles.fate[row].split(".")[1];
  if (reason === "duplicate_bytes") return [KIND_WORDS.bytes];
  if (reason === "duplicate_pixels") return [KIND_WORDS.pixels];
  if (tiles.overlap_iou[row] !== null) {
    const limit = reason === "same_footprint" ? dedup.min_footprint_iou : dedup.min_lineage_iou;
    return [`${short(100 * tiles.overlap_iou[row])} % in common (limit ${limit === undefined ? "not stated" : `${short(100 * limit)} %`})`];
  }
  const least = reason === "duplicate_image" ? dedup.min_image_similarity : dedup.min_similarity;
  const bits = within(tiles.distance_bits[row], dedup.max_hamming_bits, " of 64 bits apart");
  const alike = tiles.verified_similarity[row];
  return [bits, alike === null ? null : `correlation ${alike.toFixed(3)}${least === undefined ? "" : ` (limit ${least})`}`];
}

function hitFacts(i) {
  if (hits.kind[i] === "footprint") return [KIND_WORDS.footprint, `${short(100 * hits.similarity[i])} % in common`];
  if (hits.kind[i] !== "near") return [KIND_WORDS[hits.kind[i]] ?? hits.kind[i]];
  return [within(hits.distance_bits[i], page.limits.dedup.max_hamming_bits, " of 64 bits apart"),
    hits.similarity[i] === null ? null : `correlation ${hits.similarity[i].toFixed(3)} (limit ${page.limits.leakage.min_similarity ?? "not stated"})`];
}

function duplicateSection(row, open) {
  const survivor = tiles.duplicate_of[row];
  const parts = [];
  if (survivor !== null) {
    const image = imageOfParent.get(survivor);
    const original = rowOf.get(survivor) ?? null;
    if (image) parts.push(make("p", {}, "It is cut from a copy of the image ", make("b", {}, breakable(`${image.dataset}/${image.path}`)), "."), wholeImage(image, null, open));
    else parts.push(pair({ original, copy: row, orientation: tiles.orientation[row], titles: ["kept", "this one"], facts: closeness(row), open, sharesGround: tiles.overlap_iou[row] !== null }));
  }
  const copies = allRows.filter((other) => tiles.duplicate_of[other] === tiles.key[row]);
  for (const copy of copies) {
    parts.push(pair({ original: row, copy, orientation: tiles.orientation[copy], titles: ["this one", "dropped"], facts: closeness(copy), open, sharesGround: tiles.overlap_iou[copy] !== null }));
  }
  const more = tiles.copies[row] - copies.length;
  if (more > 0) parts.push(make("p", { class: "soft small" }, `${plural(more, "more copy", "more copies")} not on this page.`));
  if (!parts.length) return null;
  const title = survivor !== null ? "What it was dropped for" : `${plural(tiles.copies[row], "copy", "copies")} dropped for it`;
  const cluster = tiles.cluster_size[row];
  return section(title, parts, cluster === null ? null
    : `Cluster of ${plural(cluster, "picture")} that look the same, at most ${tiles.cluster_diameter_bits[row]} bits apart.`);
}

function hitSection(row, open) {
  const key = tiles.key[row];
  const parts = [];
  for (let i = 0; i < hits.tile_id.length; i++) {
    const isLeak = hits.tile_id[i] === key, isHeld = hits.benchmark_tile_id[i] === key;
    if (!isLeak && !isHeld) continue;
    parts.push(pair({
      original: rowOf.get(hits.benchmark_tile_id[i]) ?? null, copy: rowOf.get(hits.tile_id[i]) ?? null,
      orientation: hits.orientation[i], titles: [hits.benchmark[i], isLeak ? "this one" : "in a source"],
      facts: [...hitFacts(i), hits.matched_tile_id[i] === hits.tile_id[i] || hits.matched_tile_id[i] === null ? null : "matched by the whole image it is cut from"], open,
      sharesGround: hits.kind[i] === "footprint",
    }));
  }
  if (!parts.length && tiles.benchmark_hit[row] !== null) parts.push(make("p", {}, breakable(tiles.benchmark_hit[row])));
  return parts.length ? section(tiles.fate[row] === "exclude.benchmark_split" ? "Found in the sources" : "Pictures of a benchmark", parts) : null;
}
