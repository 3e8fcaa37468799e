// A grid that holds only the cards in sight, so that thousands cost no more than a screenful.
const grid = {
  element: document.getElementById("grid"),
  rows: [], columns: 1, pitch: 1, cards: new Map(), href: () => "#", open: () => {},

  show(rows, href, open) {
    this.rows = rows;
    this.href = href;
    this.open = open;
    this.cards.clear();
    this.layOut();
  },

  layOut() {
    const style = getComputedStyle(this.element);
    const gap = parseFloat(style.getPropertyValue("--gap")), least = parseFloat(style.getPropertyValue("--card"));
    const width = this.element.clientWidth;
    this.columns = Math.max(2, Math.floor((width + gap) / (least + gap)));
    this.side = (width - gap * (this.columns - 1)) / this.columns;
    this.pitch = this.side + parseFloat(style.getPropertyValue("--caption")) + gap;
    this.step = this.side + gap;
    this.element.style.height = `${Math.ceil(this.rows.length / this.columns) * this.pitch}px`;
    this.cards.forEach((card) => card.remove());
    this.cards.clear();
    this.element.replaceChildren();
    this.refresh();
  },

  refresh() {
    const top = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor((top - innerHeight / 2) / this.pitch)) * this.columns;
    const last = Math.ceil((top + innerHeight * 1.5) / this.pitch) * this.columns;
    const wanted = new Set();
    for (let at = first; at < Math.min(last, this.rows.length); at++) wanted.add(at);
    for (const [at, card] of this.cards) {
      if (wanted.has(at) || card.contains(document.activeElement)) continue;
      card.remove();
      this.cards.delete(at);
    }
    for (const at of wanted) if (!this.cards.has(at)) this.add(at);
  },

  add(at) {
    const row = this.rows[at];
    const fate = tiles.fate[row];
    const link = make("a", {
      href: this.href(row),
      title: pathOf(row),
      "data-at": at,
      "data-key": tiles.key[row],
      click: (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
        event.preventDefault();
        this.open(row);
      },
    }, make("span", { class: "frame" }, picture(row)),
    make("span", { class: "caption" }, dot(fate), make("span", { class: "name" }, fate === KEPT ? nameOf(row) : fateWords.get(fate))));
    if (tiles.benchmark_hit[row] !== null) link.firstChild.append(make("span", { class: "badge", title: "picture of a benchmark" }, "benchmark"));
    const card = make("div", { class: `card of-${colourOf(fate)}`, role: "listitem", "aria-posinset": at + 1, "aria-setsize": this.rows.length }, link);
    card.style.width = `${this.side}px`;
    card.style.setProperty("--side", `${this.side}px`);
    card.style.transform = `translate(${(at % this.columns) * this.step}px, ${Math.floor(at / this.columns) * this.pitch}px)`;
    this.cards.set(at, card);
    const later = [...this.element.children].find((other) => Number(other.firstChild.dataset.at) > at);
    this.element.insertBefore(card, later ?? null);
  },

  focus(at) {
    const index = Math.min(Math.max(at, 0), this.rows.length - 1);
    const top = this.element.getBoundingClientRect().top + scrollY + Math.floor(index / this.columns) * this.pitch;
    if (top < scrollY + 80 || top + this.pitch > scrollY + innerHeight) scrollTo(0, top - innerHeight / 3);
    this.refresh();
    this.cards.get(index)?.firstChild.focus({ preventScroll: true });
  },

  move(event) {
    const at = event.target.closest?.("[data-at]")?.dataset.at;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns };
    if (at === undefined) return;
    if (event.key in steps) this.focus(Number(at) + steps[event.key]);
    else if (event.key === "Home") this.focus(0);
    else if (event.key === "End") this.focus(this.rows.length - 1);
    else return;
    event.preventDefault();
  },
};
grid.element.addEventListener("keydown", (event) => grid.move(event));
addEventListener("scroll", () => grid.refresh(), { passive: true });
new ResizeObserver(() => { if (grid.element.clientWidth !== grid.width) { grid.width = grid.element.clientWidth; grid.layOut(); } }).observe(grid.element);
