/** One request to a server of the bench and its whole answer, with as little of our own work around it as there can be. */
import { request, type Agent } from "node:http";

export interface Asked {
  /** From the call to the first byte of the answer's body. */
  readonly firstMs: number;
  /** From the call to the end. */
  readonly wholeMs: number;
  /** Whether it came with status 200 and ended with the stream's last event. */
  readonly isWhole: boolean;
}

const LAST_EVENT = "data: [DONE]\n\n";

/** A chat request whose body is about `imageBytes` of an image, as a data URL, and a question. */
export function chatBody(imageBytes: number): Buffer {
  // Noise, as what an encoder makes looks like.
  let state = 1;
  const bytes = new Uint8Array(imageBytes).map(() => (state = (state * 48_271) % 2_147_483_647) & 0xff);
  const file = Buffer.from(bytes);
  const image = {
    type: "image_url",
    image_url: { url: `data:image/jpeg;base64,${file.toString("base64")}` },
  };
  const text = { type: "text", text: "What is in the picture?" };
  const content = imageBytes === 0 ? "What is the color of the sky?" : [image, text];
  const messages = [{ role: "user", content }];
  return Buffer.from(JSON.stringify({ model: "bench", stream: true, messages }));
}

/** `onFirst`: called with the milliseconds until the first byte of the body. Rejects when the connection breaks off. */
export function ask(
  url: string,
  body: Buffer,
  agent: Agent,
  onFirst: (ms: number) => void = () => undefined,
): Promise<Asked> {
  const start = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const outgoing = request(`${url}/v1/chat/completions`, { method: "POST", agent, headers }, (response) => {
      let firstMs = Number.NaN;
      let tail = "";
      response.on("data", (chunk: Buffer) => {
        if (Number.isNaN(firstMs)) {
          firstMs = performance.now() - start;
          onFirst(firstMs);
        }
        tail = (tail + chunk.toString("latin1")).slice(-LAST_EVENT.length);
      });
      response.once("error", reject);
      response.once("end", () => {
        const isWhole = response.statusCode === 200 && tail === LAST_EVENT;
        resolve({ firstMs, wholeMs: performance.now() - start, isWhole });
      });
    });
    outgoing.once("error", reject);
    outgoing.end(body);
  });
}
