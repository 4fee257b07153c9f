import { demoPhases, exportDemo, TrainingState } from "@llava/training";
import { staticShape } from "@llava/onnx";
import { Engine } from "@llava/engine";
import { readFile } from "node:fs/promises";
const state = await TrainingState.load("/work/train/run");
const ph = demoPhases()[3]!;
for (const [n, t] of ph.build().parameters)
  state.parameter(n, staticShape(t), () => ph.initialize(n, staticShape(t)));
await exportDemo(state, "/tmp/llava-demo0");
let t0 = performance.now();
await using engine = await Engine.load("/tmp/llava-demo0");
console.log("load", performance.now() - t0, engine.info.name, engine.info.conversation);
const png = await readFile("packages/engine/test/golden/one.png");
for (let i = 0; i < 3; i++) {
  const events = [];
  for await (const e of engine.generate({
    prompt: [{ role: "user", text: "<image>\nWhat color is the circle?" }],
    images: [png],
    temperature: 0,
    maxTokens: 12,
  }))
    events.push(e);
  console.log(
    JSON.stringify(events.at(-1)),
    events.map((e) => (e.type === "text-delta" ? e.text : "")).join("|"),
  );
}
console.log(engine.occupancy);
