// An image that was cut, put together again from its tiles: where each window lies and what became of it.
const MAP_PX = 720;

function wholeImage(image, row, open) {
  const scale = Math.min(MAP_PX / image.width, MAP_PX / image.height);
  const width = Math.max(1, Math.round(image.width * scale)), height = Math.max(1, Math.round(image.height * scale));
  const canvas = make("canvas", { width, height, role: "img", "aria-label": `The image ${image.path}, put together from its tiles` });
  const pen = canvas.getContext("2d");
  const kept = [], dropped = [];
  image.windows.forEach((window, i) => (image.fates[i] === KEPT ? kept : dropped).push(i));
  for (const i of dropped) drawDropped(pen, image, i, scale);
  for (const i of [...dropped, ...kept]) drawPicture(pen, image.windows[i], scale);
  const overlay = make("svg", { viewBox: `0 0 ${image.width} ${image.height}`, "aria-hidden": "true" });
  const hover = make("rect", { class: "hover", visibility: "hidden" });
  overlay.append(hover);
  const survivor = row === null ? -1 : image.windows.findIndex(([other]) => other >= 0 && tiles.key[other] === tiles.duplicate_of[row]);
  if (survivor >= 0) {
    const [, y, x, height, width] = image.windows[survivor];
    overlay.append(make("rect", { class: "own-shadow", y, x, height, width }), make("rect", { class: "survivor", y, x, height, width }));
  }
  if (row !== null) {
    const box = { y: tiles.y0[row], x: tiles.x0[row], height: tiles.h[row], width: tiles.w[row] };
    overlay.append(make("rect", { class: "own-shadow", ...box }), make("rect", { class: "own", ...box }));
  }
  const hint = `${number(image.height)} × ${number(image.width)} px, put together from the tiles on this page.${survivor >= 0 ? " Dashed: the tile that was kept." : ""} Choose a window to see its story.`;
  const words = make("p", { class: "small soft hint" }, hint);
  const under = (event) => windowAt(image, canvas, event, scale);
  const holder = make("div", {
    class: "whole",
    pointermove: (event) => {
      const i = under(event);
      hover.setAttribute("visibility", i === null ? "hidden" : "visible");
      holder.classList.toggle("may-open", i !== null && image.windows[i][0] >= 0);
      if (i === null) return;
      const [, y, x, h, w] = image.windows[i];
      for (const [name, value] of Object.entries({ y, x, height: h, width: w })) hover.setAttribute(name, value);
      words.textContent = `y ${y}, x ${x}, ${h} × ${w} px: ${fateWords.get(image.fates[i])}`;
    },
    pointerleave: () => { hover.setAttribute("visibility", "hidden"); words.textContent = hint; },
    click: (event) => { const i = under(event); if (i !== null && image.windows[i][0] >= 0) open(image.windows[i][0]); },
  }, canvas, overlay);
  holder.style.aspectRatio = `${image.width} / ${image.height}`;
  holder.style.maxWidth = `${Math.round(Math.min(1, 340 / height) * width)}px`;
  return make("div", {}, holder, words, fateCounts(image));
}

function fateCounts(image) {
  if (image.windows.length < image.count) {
    return make("p", { class: "small soft" }, `Cut into ${number(image.count)} tiles, of which ${number(image.windows.length)} are on this page.`);
  }
  const counts = new Map();
  for (const fate of image.fates) counts.set(fate, (counts.get(fate) ?? 0) + 1);
  return make("p", { class: "small legend" }, [...counts].map(([fate, n]) => make("span", {}, dot(fate), `${number(n)} ${fateWords.get(fate)}`)));
}

// A dropped window: its measured grey level under lines in the colour of its fate.
function drawDropped(pen, image, i, scale) {
  const [, y, x, h, w, grey] = image.windows[i];
  const box = [x * scale, y * scale, w * scale, h * scale];
  pen.fillStyle = grey === null ? "#888" : `rgb(${grey} ${grey} ${grey})`;
  pen.fillRect(...box);
  pen.save();
  pen.beginPath();
  pen.rect(...box);
  pen.clip();
  pen.strokeStyle = getComputedStyle(document.documentElement).getPropertyValue(`--of-${colourOf(image.fates[i])}`);
  pen.globalAlpha = 0.75;
  pen.lineWidth = 1;
  pen.beginPath();
  // Lines of one slope over the whole image, so that those of neighbours meet.
  for (let at = Math.floor((box[0] + box[1]) / 7) * 7; at < box[0] + box[1] + box[2] + box[3]; at += 7) {
    pen.moveTo(at - box[1], box[1]);
    pen.lineTo(at - box[1] - box[3], box[1] + box[3]);
  }
  pen.stroke();
  pen.restore();
}

function drawPicture(pen, [row, y, x, h, w], scale) {
  if (row < 0 || pictures[row] === null) return;
  const image = new Image();
  image.addEventListener("load", () => pen.drawImage(image, x * scale, y * scale, w * scale, h * scale));
  image.src = `data:image/webp;base64,${pictures[row]}`;
}

// Of the windows under the pointer, the one whose middle is nearest.
function windowAt(image, canvas, event, scale) {
  const seen = canvas.getBoundingClientRect();
  const px = ((event.clientX - seen.left) / seen.width) * image.width, py = ((event.clientY - seen.top) / seen.height) * image.height;
  let nearest = null, least = Infinity;
  image.windows.forEach(([, y, x, h, w], i) => {
    if (px < x || px >= x + w || py < y || py >= y + h) return;
    const distance = Math.hypot(px - x - w / 2, py - y - h / 2);
    if (distance < least) [nearest, least] = [i, distance];
  });
  return nearest;
}
