/**
 * Runs in a thread that keeps one grammar: xgrammar (WebAssembly) compiles it and computes after each token of an answer
 * which ones may follow. Each grammar has its own thread, because schemas come from clients: one that takes too long is
 * ended from outside, and after a schema that breaks the library, the library stays broken and ends with the thread.
 */
import { createRequire } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type * as Xgrammar from "@mlc-ai/web-xgrammar";
import { joinRules } from "./grammar-rules.ts";
import { type FromThread, type GrammarTask, MATCHER, REFUSED, type ToThread } from "./grammar-link.ts";

interface Following {
  readonly matcher: Xgrammar.GrammarMatcher;
  readonly words: Int32Array;
  count: number;
}

/**
 * @mlc-ai/web-xgrammar is a CommonJS script that its package.json declares as a module: it needs the names that Node defines
 * for scripts, and leaves its exports in a global.
 */
async function loadLibrary(): Promise<typeof Xgrammar> {
  const { filename, dirname, url } = import.meta;
  Object.assign(globalThis, { require: createRequire(url), __filename: filename, __dirname: dirname });
  await import("@mlc-ai/web-xgrammar");
  return Reflect.get(globalThis, "xgrammar") as typeof Xgrammar;
}

async function compile(
  { Grammar, GrammarCompiler, TokenizerInfo }: typeof Xgrammar,
  { schema, places, rules, isOpen, vocabulary, endToken }: GrammarTask,
): Promise<Xgrammar.CompiledGrammar> {
  const size = vocabulary.length;
  const info = await TokenizerInfo.createTokenizerInfo([...vocabulary], "byte_level", false, size, [
    endToken,
  ]);
  const compiler = await GrammarCompiler.createGrammarCompiler(info, false);
  // One line, with a space after each comma and colon: a model that is free to choose may fill its answer with white space.
  const isAnyWhiteSpace = false;
  const oneLine = -1;
  const json = JSON.stringify(schema);
  const grammar = await Grammar.fromJSONSchema(json, isAnyWhiteSpace, oneLine, [", ", ": "], !isOpen);
  return await compiler.compileGrammar(joinRules(grammar.toString(), rules, places));
}

/** Bits of the tokens that the vocabulary has a text for. */
function wordMask(vocabulary: readonly string[]): Int32Array {
  const mask = new Int32Array(Math.ceil(vocabulary.length / 32));
  for (const [id, text] of vocabulary.entries())
    if (text !== "") mask[id >> 5] = (mask[id >> 5] ?? 0) | (1 << (id & 31));
  return mask;
}

async function serve(task: GrammarTask, port: NonNullable<typeof parentPort>): Promise<void> {
  const library = await loadLibrary();
  const grammar = await compile(library, task);
  const words = wordMask(task.vocabulary);
  const followed = new Map<number, Following>();
  const publishMask = async (following: Following): Promise<void> => {
    const mask = await following.matcher.getNextTokenBitmask();
    for (const [i, word] of words.entries()) following.words[MATCHER.mask + i] = (mask[i] ?? 0) & word;
    const endWord = mask[task.endToken >> 5] ?? 0;
    following.words[MATCHER.mayEnd] = (endWord >> (task.endToken & 31)) & 1;
    following.count += 1;
    publish(following.words, following.count);
  };
  const take = async (message: ToThread): Promise<void> => {
    if (message.type === "open") {
      const matcher = await library.GrammarMatcher.createGrammarMatcher(grammar);
      const following = { matcher, words: new Int32Array(message.shared), count: 0 };
      followed.set(message.matcher, following);
      return await publishMask(following);
    }
    const following = followed.get(message.matcher);
    if (following === undefined) return;
    if (message.type === "close") {
      followed.delete(message.matcher);
      following.matcher.dispose();
    } else if (following.matcher.acceptToken(message.id)) await publishMask(following);
    else publish(following.words, REFUSED);
  };
  // Messages are taken one after the other: a mask takes an await.
  let last = Promise.resolve();
  port.on("message", (message: ToThread) => {
    last = last
      .then(() => take(message))
      .catch((error: unknown) => {
        for (const { words: of } of followed.values()) publish(of, REFUSED);
        throw error;
      });
  });
  port.postMessage({ type: "ready" } satisfies FromThread);
}

function publish(words: Int32Array, count: number): void {
  Atomics.store(words, MATCHER.count, count);
  Atomics.notify(words, MATCHER.count);
}

if (parentPort !== null) {
  const port = parentPort;
  await serve(workerData as GrammarTask, port).catch((error: unknown) => {
    port.postMessage({ type: "failed", message: String(error) } satisfies FromThread);
  });
}
