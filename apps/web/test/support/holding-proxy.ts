/** Proxies connections to a server and holds streamed answers after a number of bytes for as long as a test wants. */
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

export class HoldingProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Number of bytes of streamed answers that may still pass. */
  #left = Infinity;
  /** Callbacks that write the bytes which are held. */
  readonly #held = new Set<() => void>();
  #port = 0;

  constructor(target: string) {
    const { hostname, port } = new URL(target);
    this.#server = createServer((near) => this.#join(near, connect(Number(port), hostname)));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Lets a number of bytes of streamed answers pass, and all other traffic. */
  holdAfter(bytes: number): void {
    this.#left = bytes;
  }

  /** Whether that many bytes have passed. */
  get isHolding(): boolean {
    return this.#left <= 0;
  }

  release(): void {
    this.#left = Infinity;
    for (const write of this.#held) write();
  }

  async open(): Promise<this> {
    await new Promise<void>((resolve) => void this.#server.listen(0, "127.0.0.1", resolve));
    const address = this.#server.address();
    if (address !== null && typeof address === "object") this.#port = address.port;
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => void this.#server.close(() => resolve()));
  }

  #join(near: Socket, far: Socket): void {
    let waiting = Buffer.alloc(0);
    let isStream = false;
    const write = (): void => {
      const length = isStream ? Math.min(this.#left, waiting.length) : waiting.length;
      if (length > 0) near.write(waiting.subarray(0, length));
      waiting = waiting.subarray(length);
      if (isStream) this.#left -= length;
    };
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => {
      isStream ||= bytes.includes("text/event-stream");
      waiting = Buffer.concat([waiting, bytes]);
      write();
    });
    this.#held.add(write);
    for (const socket of [near, far]) {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        this.#sockets.delete(socket);
        this.#held.delete(write);
        near.destroy();
        far.destroy();
      });
    }
  }
}
