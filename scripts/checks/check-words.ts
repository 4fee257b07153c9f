/** Checks that sources use the words of the field: names that were given up, and phrases that comments do without. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseSync } from "oxc-parser";

interface Word {
  readonly pattern: RegExp;
  readonly instead: string;
  /** Files in which the word is right. */
  readonly except?: RegExp;
}

/** The page's own texts say "picture", and so do its tests, the demo's training data and the prompts that ask about them. */
const PICTURE_TEXTS = /^apps\/web\/(test\/|src\/browser\/ui\/texts\.ts$)|^packages\/demo\//;

/** Names in code, and what replaced them. */
const NAMES: readonly Word[] = [
  name("Sitter|Seat|findSeat|gapMove", "SlotOwner, SlotAssignment, findSlot, compactionMove"),
  name("wantedOf|heldIn", "neededPrefix, prefixIn"),
  name("Chronicle", "ClusterHistory"),
  name("FrameBorder", "StreamFrameSplitter"),
  name("Losses", "CrashAttribution"),
  name("strangerLog|tellStanding|isAmbient", "logUnauthorized, setRateLimitHeaders, usesAmbientCredentials"),
  name(
    "orIll|ILL_CODES|isTalkative|hasSpoken",
    "allowOpenBreaker, UNHEALTHY_CODES, sendsKeepalives, hasStreamed",
  ),
  name("FAREWELL_MS", "DEREGISTER_TIMEOUT_MS"),
  name("[A-Z_]*PATIENCE[A-Z_]*", "a name that ends in _TIMEOUT_MS"),
  name("isListedFirst|isPassing|isPainted", "emitFirst, isEphemeral, isMasked"),
  name("WIDENS_FOR_NOTHING", "MIN_ROWS_FOR_LAZY_CAST"),
  name("MANNERS|PRACTICE|sparesHeldOut", "IDENTITY, HARD_EXAMPLES, maskHeldOut"),
  name("Keeper|Spoken|EventLine", "AnswerPersistence, ScreenReaderAnnouncer, EventStreamClient"),
  name("Voice", "Output"),
  name("(?:\\w*[a-z])?Pictures?[A-Z]?\\w*|pictures?[A-Z]\\w*", "image", PICTURE_TEXTS),
];

/** Phrases in comments. */
const PHRASES: readonly Word[] = [
  { pattern: /\bapart (because|from)\b/i, instead: "say what the file does" },
  {
    pattern: /\b(nobody|whoever|strangers?|somebody)\b/i,
    instead: "name the client, the caller or the request",
  },
  { pattern: /^[\s*/]*Of (?!course)/m, instead: "begin a field's comment with its noun" },
];

const SOURCE = /^(packages|apps|scripts)\/.*\.tsx?$/;
/** The list of words itself, and its test. */
const NOT_CHECKED = /^scripts\/checks\/check-words/;

function name(names: string, instead: string, except?: RegExp): Word {
  return { pattern: new RegExp(`\\b(?:${names})\\b`), instead, ...(except === undefined ? {} : { except }) };
}

/** A sentence for each line of a source that uses such a name or phrase. */
export async function wordFaults(root: string, files: readonly string[]): Promise<string[]> {
  const faults = await Promise.all(
    files
      .filter((file) => SOURCE.test(file) && !NOT_CHECKED.test(file))
      .map(async (file) => wordFaultsIn(file, await readFile(join(root, file), "utf8"))),
  );
  return faults.flat();
}

/** The same for one source. */
export function wordFaultsIn(file: string, source: string): string[] {
  const { comments } = parseSync(file, source);
  // Blanks of the same length keep the positions of the code around them.
  const code = comments.reduce(
    (text, { start, end }) =>
      text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, " ") + text.slice(end),
    source,
  );
  const inCode = NAMES.filter(({ except }) => except?.test(file) !== true).flatMap((word) =>
    matches(file, code, 0, word),
  );
  const inComments = comments.flatMap(({ start, end }) =>
    PHRASES.flatMap((word) => matches(file, source.slice(start, end), lineOf(source, start) - 1, word)),
  );
  return [...inCode, ...inComments];
}

function matches(file: string, text: string, before: number, { pattern, instead }: Word): string[] {
  const flags = pattern.flags.includes("g") ? pattern.flags : `${pattern.flags}g`;
  return Array.from(
    text.matchAll(new RegExp(pattern.source, flags)),
    ({ 0: found, index }) => `${file}:${before + lineOf(text, index)} has "${found.trim()}": ${instead}.`,
  );
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split("\n").length;
}
