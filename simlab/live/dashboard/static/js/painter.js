/**
 * Draws what changed, one panel a frame, each at its own interval and only where it can be seen: however fast data
 * comes, drawing costs the same.
 */

export class Painter {
  #panels = [];
  #running = false;

  /** Draw into `element` by `draw`, at most every `every` milliseconds; returns what says that it changed. */
  add(element, every, draw) {
    const panel = { draw, every, dirty: true, last: 0, seen: false };
    const watch = new IntersectionObserver((entries) => {
      panel.seen = entries.at(-1).isIntersecting;
      this.#wake();
    }, { rootMargin: "100px" });
    watch.observe(element);
    this.#panels.push(panel);
    return () => {
      panel.dirty = true;
      this.#wake();
    };
  }

  #wake() {
    if (this.#running) return;
    this.#running = true;
    requestAnimationFrame((now) => this.#frame(now));
  }

  #frame(now) {
    this.#running = false;
    const waiting = this.#panels.filter((panel) => panel.dirty && panel.seen);
    if (waiting.length === 0) return;
    const due = waiting.filter((panel) => now - panel.last >= panel.every);
    if (due.length > 0) {
      const panel = due.reduce((a, b) => (a.last + a.every <= b.last + b.every ? a : b));
      panel.dirty = false;
      panel.last = now;
      panel.draw();
    }
    const next = Math.min(...waiting.map((panel) => panel.last + panel.every - now));
    this.#running = true;
    setTimeout(() => requestAnimationFrame((then) => this.#frame(then)), Math.max(0, Math.min(next, 1000)));
  }
}
