/** Runs `llava chat`: the engine in this process, one question or a conversation, text as it is generated. */
import { LlavaError } from "@llava/protocol";
import { chatLoop } from "./chat-loop.ts";
import { Conversation, type AnswerSettings } from "./chat-conversation.ts";
import type { ChatFlags } from "../../options/command-options.ts";
import { DEMO_MODEL } from "../../options/default-model.ts";
import { readImageFile } from "./image-file.ts";
import { progressBar } from "../../output/progress-bar.ts";
import { printJson, printText, type PrintEvent } from "../../output/printer.ts";

const INTERRUPTED = 130;

/** @returns the exit code; failures are thrown as LlavaError */
export async function chat(flags: ChatFlags): Promise<number> {
  if (flags.prompt?.trim() === "")
    throw new LlavaError("invalid_request", "The prompt is empty. Ask something with --prompt.");
  const images = await Promise.all((flags.imageFile ?? []).map(readImageFile));
  const { Engine } = await import("@llava/engine");
  await using engine = await Engine.load(flags.modelPath ?? DEMO_MODEL, {
    device: flags.device,
    dtype: flags.dtype,
    ...(flags.computeType === undefined ? {} : { computeType: flags.computeType }),
    quantizesVision: flags.quantizeVision ?? false,
    onProgress: progressBar(process.stderr),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convMode === undefined ? {} : { conversation: flags.convMode }),
  });
  const conversation = new Conversation(engine, settingsOf(flags));
  for (const image of images) conversation.attach(image);
  const print = (flags.json ? printJson : printText)((text) => process.stdout.write(text));
  if (flags.prompt === undefined) return await chatLoop({ conversation, modelName: engine.info.name, print });
  return await askOnce(conversation, flags.prompt, print);
}

async function askOnce(conversation: Conversation, prompt: string, print: PrintEvent): Promise<number> {
  const stop = new AbortController();
  const onInterrupt = (): void => stop.abort();
  process.once("SIGINT", onInterrupt);
  try {
    let failure: LlavaError | null = null;
    for await (const event of conversation.ask(prompt, stop.signal)) {
      print(event);
      if (event.type === "error") failure = event.error;
    }
    if (stop.signal.aborted) return INTERRUPTED;
    if (failure) throw failure;
    return 0;
  } finally {
    process.off("SIGINT", onInterrupt);
  }
}

function settingsOf(flags: ChatFlags): AnswerSettings {
  return {
    temperature: flags.temperature,
    maxTokens: flags.maxNewTokens,
    ...(flags.topP === undefined ? {} : { topP: flags.topP }),
    ...(flags.topK === undefined ? {} : { topK: flags.topK }),
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
  };
}
