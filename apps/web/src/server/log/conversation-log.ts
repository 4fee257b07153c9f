/**
 * Writes LLaVA's conversation log: `DIR/YYYY-MM-DD-conv.json` with one JSON object a line, and images in
 * `DIR/serve_images/YYYY-MM-DD/`. It never delays or fails an answer: a record that cannot be written is left out,
 * and the first such failure is logged.
 */
import {
  access,
  appendFile,
  constants,
  mkdir,
  readdir,
  rm,
  stat,
  truncate,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";

import { shortAddress } from "@llava/server";
import { LlavaError } from "@llava/protocol";
import type { FastifyBaseLogger, FastifyRequest } from "fastify";

import { AnswerText, chatRecord, type LoggedImage, type Turn } from "./conversation-record.ts";
import { LoggedImages } from "./logged-images.ts";
import { voteRecord, type Vote } from "./vote.ts";

export interface ConversationLog {
  /** Writes a turn in the background; returns at once. */
  readonly add: (turn: Turn) => void;
  /** Keeps an uploaded image, to which questions may refer by its key. */
  readonly keep: (key: string, bytes: Buffer) => void;
  /** Writes a vote in the background; returns at once. */
  readonly vote: (vote: Vote, ip: string) => void;
  /** Resolves when all records so far are written or left out. */
  readonly flush: () => Promise<void>;
}

export interface ConversationLogOptions {
  readonly folder: string;
  readonly log: Pick<FastifyBaseLogger, "warn" | "info">;
  /** Most bytes of one day's files, images included. */
  readonly maxDayBytes?: number;
  /** Whether only the network of a client's address is written. */
  readonly shortensAddresses?: boolean;
  /** Clock, Unix milliseconds. */
  readonly now?: () => number;
}

/**
 * Most bytes a day by default, enough for a busy day with images of a megabyte each; later records of that day are
 * left out.
 */
const MAX_DAY_BYTES = 4 * 2 ** 30;
/** Most bytes of requests that wait for a slow disk. */
const MAX_PENDING_BYTES = 64 << 20;

/** Throws `invalid_request` when the folder cannot be written to at the start. */
export async function openConversationLog(options: ConversationLogOptions): Promise<ConversationLog> {
  const { folder, log, maxDayBytes = MAX_DAY_BYTES, now = Date.now } = options;
  await requireWritable(folder);
  let pendingBytes = 0;
  let numLost = 0;
  let last: Promise<void> = Promise.resolve();
  let today: Day | null = null;

  const uploaded = new LoggedImages();
  const shown = (ip: string): string => (options.shortensAddresses === true ? shortAddress(ip) : ip);
  const write = async (record: object, images: readonly LoggedImage[]): Promise<void> => {
    const date = localDate(now());
    if (today?.date !== date) today = await openDay(folder, date);
    const line = `${JSON.stringify(record)}\n`;
    const numBytes = images.reduce((sum, { bytes }) => sum + (bytes?.length ?? 0), Buffer.byteLength(line));
    if (today.bytes + numBytes > maxDayBytes) throw new Error(`the day's ${maxDayBytes} bytes are full`);
    for (const image of images) await keepImage(today, image);
    await appendLine(today, line);
  };
  const writeTurn = async (turn: Turn): Promise<void> => {
    const chat = chatRecord({ ...turn, ip: shown(turn.ip) }, (key) => uploaded.get(key));
    if (chat !== null) await write(chat.record, chat.images);
  };
  const lose = (err: unknown): void => {
    numLost += 1;
    // A full disk fails every write; only the first failure is logged.
    if (numLost === 1)
      log.warn({ err, folder }, "conversations cannot be written down; serving goes on without");
  };
  const found = (): void => {
    if (numLost > 0) log.info({ numLost, folder }, "conversations are written down again");
    numLost = 0;
  };
  const queue = (bytes: number, task: () => Promise<void>): void => {
    if (pendingBytes + bytes > MAX_PENDING_BYTES) {
      lose(new Error("the disk is too slow"));
      return;
    }
    pendingBytes += bytes;
    last = last
      .then(task)
      .then(found, lose)
      .finally(() => {
        pendingBytes -= bytes;
      });
  };
  return {
    add: (turn) => queue(turn.request.length, () => writeTurn(turn)),
    // The upload of a damaged image was refused in its own answer; here the image is only left out.
    keep: (key, bytes) => void uploaded.put(key, bytes).catch(() => undefined),
    vote: (vote, ip) => {
      const record = voteRecord(vote, shown(ip), now());
      queue(JSON.stringify(record).length, () => write(record, []));
    },
    flush: async () => await last,
  };
}

/** Follows the bytes of an answer and writes the turn at its end, if the answer is complete. */
export interface TurnWatch {
  readonly push: (bytes: Uint8Array) => void;
  readonly end: () => void;
}

/** Starts to follow the answer of a request. */
export function watchTurn(log: ConversationLog, request: FastifyRequest): (isStream: boolean) => TurnWatch {
  const startedMs = Date.now();
  return (isStream) => {
    const answer = new AnswerText(isStream);
    return {
      push: (bytes) => answer.push(bytes),
      end: () => {
        if (!Buffer.isBuffer(request.body)) return;
        log.add({ request: request.body, answer, startedMs, finishedMs: Date.now(), ip: request.ip });
      },
    };
  };
}

async function requireWritable(folder: string): Promise<void> {
  try {
    // The mode keeps other users of the machine from reading what people asked.
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.W_OK);
  } catch (cause) {
    throw new LlavaError(
      "invalid_request",
      `Conversations cannot be written to ${folder}. Give --conversation-log a folder that this program may write to.`,
      { cause },
    );
  }
}

/** The files of one day, and their total size. */
interface Day {
  readonly date: string;
  readonly file: string;
  readonly images: string;
  readonly known: Set<string>;
  bytes: number;
}

async function openDay(folder: string, date: string): Promise<Day> {
  const images = join(folder, "serve_images", date);
  await mkdir(images, { recursive: true, mode: 0o700 });
  const file = join(folder, `${date}-conv.json`);
  const known = await readdir(images);
  const sizes = await Promise.all([file, ...known.map((name) => join(images, name))].map(sizeOf));
  return { date, file, images, known: new Set(known), bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function keepImage(day: Day, { md5, extension, bytes }: LoggedImage): Promise<void> {
  const name = `${md5}.${extension}`;
  if (bytes === null || day.known.has(name)) return;
  const file = join(day.images, name);
  await writeFile(file, bytes, { mode: 0o600 }).catch(async (failure: unknown) => {
    // After a restart, a partly written image would be mistaken for a complete one.
    await rm(file, { force: true });
    throw failure;
  });
  day.known.add(name);
  day.bytes += bytes.length;
}

/** Appends a line completely or not at all: a line that a full disk cut off is removed. */
async function appendLine(day: Day, line: string): Promise<void> {
  const before = await sizeOf(day.file);
  try {
    await appendFile(day.file, line, { mode: 0o600 });
  } catch (failure) {
    await truncate(day.file, before).catch(() => undefined);
    throw failure;
  }
  day.bytes += Buffer.byteLength(line);
}

async function sizeOf(file: string): Promise<number> {
  return await stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

/** The day in the server's time zone, as LLaVA names its files. */
function localDate(ms: number): string {
  const date = new Date(ms);
  const two = (number: number): string => String(number).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}
