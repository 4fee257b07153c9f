/** Compares in the browser what a growing text shows with what the whole text shows. */
import { MarkdownStream } from "../../src/browser/markdown/markdown-stream.ts";

interface Trial {
  readonly text: string;
  /** Positions at which the text is cut, in rising order. */
  readonly cuts: readonly number[];
  /** Whether the intermediate states must be right too. */
  readonly isLive: boolean;
}

interface Difference {
  readonly at: string;
  readonly text: string;
  readonly cuts: readonly number[];
  readonly grown: string;
  readonly whole: string;
}

function newStream(): { readonly host: HTMLElement; readonly stream: MarkdownStream } {
  const host = document.createElement("div");
  return { host, stream: new MarkdownStream(host) };
}

function differenceOf({ text, cuts, isLive }: Trial): Difference | null {
  const grown = newStream();
  const told = (at: string, whole: HTMLElement): Difference | null =>
    grown.host.isEqualNode(whole)
      ? null
      : { at, text, cuts, grown: grown.host.innerHTML, whole: whole.innerHTML };
  for (const cut of cuts) {
    grown.stream.update(text.slice(0, cut));
    if (!isLive) continue;
    const whole = newStream();
    whole.stream.update(text.slice(0, cut));
    const difference = told(`after ${cut} characters`, whole.host);
    if (difference) return difference;
  }
  grown.stream.finish(text);
  const whole = newStream();
  whole.stream.finish(text);
  return told("at the end", whole.host);
}

const trial = {
  differences: (trials: readonly Trial[]): readonly Difference[] =>
    trials.flatMap((one) => differenceOf(one) ?? []),
  /** Shows the whole text in the document. */
  show: (text: string): void => {
    const { host, stream } = newStream();
    document.body.replaceChildren(host);
    stream.finish(text);
  },
  shownOnTheWay: (text: string): string => {
    const { host, stream } = newStream();
    stream.update(text);
    return host.textContent;
  },
  /** Whether the nodes that showed the first text still show the second. @param paths child indices of the nodes */
  keeps: (first: string, second: string, paths: readonly (readonly number[])[]): readonly boolean[] => {
    const { host, stream } = newStream();
    const nodeAt = (path: readonly number[]): Node | undefined =>
      path.reduce<Node | undefined>((node, index) => node?.childNodes[index], host);
    stream.update(first);
    const before = paths.map(nodeAt);
    stream.update(second);
    return paths.map((path, index) => nodeAt(path) !== undefined && nodeAt(path) === before[index]);
  },
};

declare global {
  interface Window {
    trial: typeof trial;
  }
}
window.trial = trial;
