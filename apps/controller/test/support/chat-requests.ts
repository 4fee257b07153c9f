/** Has a chat request, a whole answer and a reader of the controller's stream for the tests of OpenAI's endpoints. */
import type { ServerResponse } from "node:http";
import { readBody, readChatStream, type ChatEvent } from "@llava/protocol";
import { z } from "zod";
import type { Handler } from "./stand-in.ts";

export const ASK = { model: "m", messages: [{ role: "user", content: "What color?" }], stream: true };
export const WORD = 'data: {"choices":[{"index":0,"delta":{"content":"red"},"finish_reason":null}]}\n\n';
export const WHOLE = `${WORD}data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n`;

/** A handler that sends the head, then `text`, then does `next`. */
export function streaming(
  text: string,
  next: (response: ServerResponse) => void = (response) => response.end(),
): Handler {
  return (request, response) => {
    request.resume();
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(text, () => next(response));
  };
}

export async function eventsOf(url: string): Promise<ChatEvent[]> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(ASK),
  });
  const events: ChatEvent[] = [];
  for await (const event of readChatStream(readBody(response.body))) events.push(event);
  return events;
}

/** How many answers the controller relays now. */
export async function numStreams(url: string): Promise<number> {
  const health: unknown = await (await fetch(`${url}/health`)).json();
  return z.object({ streams: z.number() }).parse(health).streams;
}
