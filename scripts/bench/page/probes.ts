/** What watches from within the page. Each leaves its notes in `window.notes`. */

/**
 * The number of the last token in each frame, and when that frame had been painted. Read in the frame's last step before
 * painting (a ResizeObserver's, of an element that changes with each frame), told in the first task after it.
 */
export const PAINT_PROBE = `{
  const notes = (window.notes = []);
  const box = document.body.appendChild(document.createElement("div"));
  box.style.cssText = "position:fixed;top:0;left:0;width:1px;height:1px;contain:strict;visibility:hidden";
  let last = -1;
  new ResizeObserver(() => {
    const words = document.querySelector(".turn:last-child .words")?.lastElementChild?.textContent ?? "";
    const [, number] = /t(\\d+) ?$/.exec(words.slice(-12)) ?? [];
    if (number === undefined || Number(number) === last) return;
    last = Number(number);
    const { port1, port2 } = new MessageChannel();
    const token = last;
    port1.onmessage = () => notes.push([token, performance.now()]);
    port2.postMessage(null);
  }).observe(box);
  let isWide = false;
  requestAnimationFrame(function step() {
    box.style.width = (isWide = !isWide) ? "2px" : "1px";
    requestAnimationFrame(step);
  });
}`;

export interface FrameNotes {
  /** When each frame began. */
  readonly frames: readonly number[];
  /** Length of each task of more than 50 ms. */
  readonly longTasks: readonly number[];
}

export const FRAME_PROBE = `{
  const notes = (window.notes = { frames: [], longTasks: [] });
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) notes.longTasks.push(duration);
  }).observe({ type: "longtask" });
  requestAnimationFrame(function step(now) {
    notes.frames.push(now);
    requestAnimationFrame(step);
  });
}`;

/** Milliseconds from a click on the first conversation until the frame with its last turn is painted. */
export const OPEN_PROBE = `new Promise((resolve) => {
  const startMs = performance.now();
  document.querySelector(".conversation-list a").click();
  requestAnimationFrame(function step() {
    const words = document.querySelector(".turn:last-child .words");
    const box = words?.getBoundingClientRect();
    const isShown = box && box.height > 0 && box.top < innerHeight && box.bottom > 0;
    if (!isShown || words.textContent === "") return requestAnimationFrame(step);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => resolve(performance.now() - startMs);
    port2.postMessage(null);
  });
})`;

/** `preparedMs`: how long the page's worker had the first image. */
export const WORKER_PROBE = `
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...more) {
    if (message.task?.kind === "prepare") {
      const startMs = performance.now();
      this.addEventListener("message", () => (window.preparedMs ??= performance.now() - startMs), { once: true });
    }
    return post.call(this, message, ...more);
  };`;

/** Milliseconds from the choice of a file to its image's being there. */
export const SHOWN_PROBE = `new Promise((resolve) => {
  let startMs = 0;
  document.querySelector("input[multiple]").addEventListener("change", () => (startMs = performance.now()), true);
  requestAnimationFrame(function step() {
    const img = document.querySelector(".attached img");
    if (img?.complete && img.naturalWidth > 0) resolve(performance.now() - startMs);
    else requestAnimationFrame(step);
  });
})`;
