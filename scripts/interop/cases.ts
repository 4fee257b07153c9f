/** Runs the original's programs with ours, case by case. Each case returns what it has seen, and throws what was wrong. */
import { fileURLToPath } from "node:url";
import {
  freePort,
  MODEL,
  notesIn,
  runOriginal,
  startOriginal,
  startOurController,
  startOurWorker,
  type Original,
  type Program,
} from "./interop-programs.ts";
import { addressOf, call, eventually, generate, hold, listed } from "./wire-client.ts";

export interface Case {
  readonly name: string;
  /** The modules that Python must have for it. */
  readonly needs: readonly string[];
  readonly run: (original: Original) => Promise<string>;
}

const IMAGE = fileURLToPath(new URL("../../apps/web/src/browser/public/samples/shapes.png", import.meta.url));
const MANY = ["fastapi", "uvicorn", "requests", "numpy"];

export const CASES: readonly Case[] = [
  { name: "its controller, our worker", needs: MANY, run: theirController },
  { name: "its test_message, our controller and worker", needs: ["requests", "PIL"], run: testMessage },
  {
    name: "its web server's requests, our controller and worker",
    needs: ["requests", "PIL", "gradio"],
    run: webServer,
  },
  {
    name: "its worker's server, our controller",
    needs: [...MANY, "torch", "transformers"],
    run: theirWorker,
  },
];

async function theirController(original: Original): Promise<string> {
  const port = await freePort();
  const flags = ["--host", "127.0.0.1", "--port", String(port)];
  const start = (): Promise<Program> => startOriginal(original, "llava.serve.controller", port, flags);
  let controller = await start();
  try {
    await using worker = await startOurWorker(controller.url);
    await eventually("our worker's registration", () => listed(controller.url));
    hold("the address is not our worker's", (await addressOf(controller.url)) === worker.url);
    const relayed = await generate(controller.url);
    hold("nothing was answered", relayed !== "");
    await call(controller.url, "/refresh_all_workers");
    hold("our worker did not outlive /refresh_all_workers", await listed(controller.url));
    const status = JSON.stringify(await call(controller.url, "/worker_get_status"));
    hold(`its /worker_get_status is ${status}`, status.includes(`["${MODEL}"]`));
    await controller[Symbol.asyncDispose]();
    controller = await start();
    await eventually("our worker at the restarted controller", () => listed(controller.url));
    const notes = notesIn(controller.output());
    return `registered, relayed "${relayed}", refreshed, back after a restart of its controller; ${notes}`;
  } finally {
    await controller[Symbol.asyncDispose]();
  }
}

async function testMessage(original: Original): Promise<string> {
  await using controller = await startOurController(0);
  await using worker = await startOurWorker(controller.url);
  await eventually("our worker's registration", () => listed(controller.url));
  const flags = ["--controller-address", controller.url, "--model-name", MODEL, "--message", "What is this?"];
  const output = await runOriginal(original, [
    "original.py",
    original.folder,
    "llava.serve.test_message",
    ...flags,
  ]);
  hold("the model is not in its list", output.includes(`Models: ['${MODEL}']`));
  hold("it got another address than our worker's", output.includes(`worker_addr: ${worker.url}`));
  // Each piece is written over the one before it.
  const answer = output.trimEnd().split("\r").at(-1)?.trim() ?? "";
  const pieces = output.split("\r").length - 1;
  hold("it printed no answer", pieces > 0);
  return `listed, addressed, ${pieces} pieces printed, the last is "${answer.slice(-60)}"; ${notesIn(output)}`;
}

async function webServer(original: Original): Promise<string> {
  await using controller = await startOurController(0);
  await using worker = await startOurWorker(controller.url);
  await eventually("our worker's registration", () => listed(controller.url));
  const output = await runOriginal(original, ["ask_web.py", original.folder, controller.url, MODEL, IMAGE]);
  const line = output.split("\n").find((text) => text.startsWith('{"models"')) ?? "";
  hold("its functions came to no end", line !== "");
  const came = readTurns(JSON.parse(line));
  hold(`the models are ${came.models.join(", ")}`, came.models.join() === MODEL);
  for (const { answer } of came.turns) {
    hold(`it shows "${answer}"`, answer !== "" && !/error_code|NETWORK ERROR/.test(answer));
  }
  void worker;
  const answers = came.turns
    .map(({ events, answer }) => `${events} events, "${answer}"`)
    .join("; then without a new image ");
  return `listed, an image and a question: ${answers}; ${notesIn(output)}`;
}

interface Came {
  readonly models: readonly string[];
  readonly turns: readonly { readonly events: number; readonly answer: string }[];
}

function readTurns(value: unknown): Came {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by ask_web.py, of this folder
  return value as Came;
}

async function theirWorker(original: Original): Promise<string> {
  const controllerPort = await freePort();
  let controller = await startOurController(controllerPort);
  try {
    const port = await freePort();
    const address = `http://127.0.0.1:${port}`;
    const flags = [
      "--stand-in-model",
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--worker-address",
      address,
    ];
    const more = ["--controller-address", controller.url, "--model-path", MODEL, "--device", "cpu"];
    await using worker = await startOriginal(original, "llava.serve.model_worker", port, [...flags, ...more]);
    await eventually("its registration with our controller", () => listed(controller.url));
    hold("the address is not its worker's", (await addressOf(controller.url)) === address);
    const relayed = await generate(controller.url);
    hold(`it answered "${relayed}"`, relayed === "A red circle.");
    await call(controller.url, "/refresh_all_workers");
    hold("it did not outlive /refresh_all_workers", await listed(controller.url));
    await controller[Symbol.asyncDispose]();
    controller = await startOurController(controllerPort);
    // It sends a heartbeat with every request too, to which our controller answers that it does not know it.
    await generate(address);
    await eventually("its registration with our restarted controller", () => listed(controller.url));
    return `registered, relayed "${relayed}", refreshed, back after a restart of our controller; ${notesIn(worker.output())}`;
  } finally {
    await controller[Symbol.asyncDispose]();
  }
}
