import { TrainingState } from "../src/training-state.ts";
import { train } from "../src/trainer.ts";
import { tinyPhase } from "./tiny-phase.ts";
const state = new TrainingState();
const p = tinyPhase("one", 7);
try {
await train([{...p, fill: (s, b) => { p.fill(s, b); console.log("fill", s, b["points"]!.slice(0,3), b["labels"], b["weights"]); }}], state, { folder: "/tmp/dbg", threads: 1, saveEvery: 100, probeEvery: 1000, onStep: console.log });
} catch (e) { console.log(e); }
for (const [n, p] of [...state.parameters, ...state.moments]) console.log(n, p.data.some(Number.isNaN), p.data.slice(0, 4).join(" "));
