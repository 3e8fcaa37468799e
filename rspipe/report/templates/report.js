"use strict";
// A picture opens large on a click; long tables get a field to filter them. Without scripts nothing is lost.
document.addEventListener("click", (event) => {
  const open = document.getElementById("lightbox");
  if (open) { open.remove(); return; }
  const image = event.target.closest("img.zoom");
  if (!image) return;
  const box = document.createElement("div");
  box.id = "lightbox";
  const large = document.createElement("img");
  large.src = image.src;
  large.alt = image.alt;
  const words = document.createElement("p");
  words.textContent = image.alt;
  box.append(large, words);
  document.body.append(box);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.getElementById("lightbox")?.remove();
});
for (const table of document.querySelectorAll("table.filterable")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 12) continue;
  const field = document.createElement("input");
  field.className = "filter";
  field.type = "search";
  field.placeholder = `Filter ${rows.length} rows`;
  field.setAttribute("aria-label", "Filter rows");
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
  table.parentElement.before(field);
}
