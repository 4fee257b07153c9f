/** One question to the server; apart because it is the only place where the page talks about answers over the network. */
import { LlavaError, parseErrorBody, readBody, readChatStream } from "@llava/protocol";
import type { ChatEvent, ChatRequestBody } from "@llava/protocol";

/** Words as they come, then exactly one `finished` or `error`; never throws. Aborting ends it with `cancelled`. */
export async function* ask(
  request: ChatRequestBody,
  signal: AbortSignal,
): AsyncGenerator<ChatEvent, void, undefined> {
  try {
    const headers = { "content-type": "application/json", accept: "text/event-stream" };
    const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
    const response = await fetch("/v1/chat/completions", { method: "POST", headers, body, signal });
    if (response.ok) yield* readChatStream(readBody(response.body));
    else yield { type: "error", error: await refusal(response) };
  } catch (cause) {
    yield { type: "error", error: signal.aborted ? cancelled(cause) : unreachable(cause) };
  }
}

/** The error that a response other than 200 tells of. */
export async function refusal(response: Response): Promise<LlavaError> {
  const body: unknown = await response.json().catch(() => null);
  const sentence = `The server answered with status ${response.status} and no explanation. Try again.`;
  return parseErrorBody(body) ?? new LlavaError("internal", sentence);
}

export function unreachable(cause: unknown): LlavaError {
  const sentence = "The web server does not answer. Is it still running, and are you online?";
  return new LlavaError("no_worker", sentence, { cause });
}

function cancelled(cause: unknown): LlavaError {
  return new LlavaError("cancelled", "The answer was stopped.", { cause });
}
