/** Makes dialogues: several questions about one scene in a row, as a person would ask them, in one style of answering. */
import {
  ABOUT_IT,
  aboutObject,
  COLORS,
  DEFAULT_OPTIONS,
  isHeldOut,
  type Kind,
  type Question,
  questionFor,
  type QuestionOptions,
  type Random,
  SAME_ABOUT,
  type Scene,
  type SceneObject,
  SHAPES,
  SHORT_ANSWER_SUFFIX,
} from "../../scenes/index.ts";

export interface Turn {
  readonly kind: Kind;
  /** The user's text; the first one of a short-answer dialogue ends in SHORT_ANSWER_SUFFIX. */
  readonly question: string;
  /** The answer as a single word or phrase. */
  readonly short: string;
  /** The assistant's text in this dialogue: `short` or a full sentence. */
  readonly answer: string;
  /** Words that would be right for held-out pairs, masked in the loss: their absence must not teach that they are wrong. */
  readonly masked: readonly string[];
}

type Style = "short" | "sentence";

export interface DialogueOptions extends Partial<QuestionOptions> {
  /** Style of the answers; drawn at random when left out, short in 65 of 100 dialogues. */
  readonly style?: Style;
  /** Largest number of turns; 10 when left out, which is more than a budget of 112 tokens holds. */
  readonly maxTurns?: number;
  /** Factors of how often each kind is asked. */
  readonly emphasis?: Partial<Readonly<Record<Kind, number>>>;
}

/** Relative frequency of each kind; kinds that are hard to learn, or seldom possible, have more. */
const KIND_WEIGHTS: Readonly<Record<Style, Readonly<Record<Kind, number>>>> = {
  short: {
    exist: 1.1,
    count_all: 2.2,
    count_color: 1.2,
    count_shape: 1.2,
    color: 0.9,
    shape: 0.9,
    size: 0.8,
    texture: 1.1,
    relation_x: 5.5,
    relation_y: 5.5,
    where: 3,
    read: 7,
    compare: 1.8,
    describe: 0.5,
    identity: 0,
    nothing: 8,
  },
  sentence: {
    exist: 1,
    count_all: 1.6,
    count_color: 1,
    count_shape: 1,
    color: 0.9,
    shape: 0.9,
    size: 0.8,
    texture: 0.9,
    relation_x: 4.5,
    relation_y: 4.5,
    where: 2.4,
    read: 6,
    compare: 1.4,
    describe: 1.6,
    identity: 0.6,
    nothing: 8,
  },
};

/** Share of questions typed in haste: no capital letter and no mark at the end. */
const HASTY_SHARE = 0.08;

/** A dialogue about the scene: at least one question and at most `maxTurns`, all different. */
export function dialogue(scene: Scene, random: Random, options: DialogueOptions = {}): Turn[] {
  const all = { ...DEFAULT_OPTIONS, ...options };
  const style = options.style ?? (random.chance(0.65) ? "short" : "sentence");
  const maxTurns = options.maxTurns ?? 10;
  const asked = new Set<string>();
  const turns: Turn[] = [];
  let previous: Previous | null = null;
  for (let tries = 0; turns.length === 0 || (turns.length < maxTurns && tries < 4 * maxTurns); tries++) {
    const question: Question | null = nextQuestion(scene, random, style, previous, all, options.emphasis);
    if (!question || asked.has(question.key)) continue;
    asked.add(question.key);
    turns.push(turnOf(question, style, turns.length === 0, random));
    previous = { question, isColorKnown: isColorKnown(question, previous) };
  }
  return turns;
}

interface Previous {
  readonly question: Question;
  /** Whether the dialogue so far names the color of the object that the question was about. */
  readonly isColorKnown: boolean;
}

const SAME_SHARE = 0.2;
const IT_SHARE = 0.15;

function nextQuestion(
  scene: Scene,
  random: Random,
  style: Style,
  previous: Previous | null,
  options: QuestionOptions,
  emphasis: NonNullable<DialogueOptions["emphasis"]> = {},
): Question | null {
  if (previous && random.chance(SAME_SHARE)) return sameQuestion(scene, random, previous, options);
  if (previous && random.chance(IT_SHARE)) return questionAboutIt(random, previous, options);
  const weights = KIND_WEIGHTS[style];
  const kind =
    KIND_LIST[random.weighted(KIND_LIST.map((name) => weights[name] * (emphasis[name] ?? 1)))] ?? "exist";
  return questionFor(scene, kind, random, options);
}

const KIND_LIST: readonly Kind[] = [...new Set(Object.values(KIND_WEIGHTS).flatMap(keysOf))];

function keysOf(weights: Readonly<Record<Kind, number>>): Kind[] {
  return Object.keys(weights).filter((name): name is Kind => name in weights);
}

/** "And the square?": the question before, about something else. */
function sameQuestion(
  scene: Scene,
  random: Random,
  { question: before }: Previous,
  options: QuestionOptions,
): Question | null {
  if (before.topic === null) return null;
  const question = questionFor(scene, before.kind, random, options);
  if (!question?.topic) return null;
  const topic = random.chance(0.5) ? question.topic.replace(/ object(s?)$/, " one$1") : question.topic;
  return { ...question, text: random.pick(SAME_ABOUT).replace("{a}", topic) };
}

/** "Where is it?": another question about the object before. */
function questionAboutIt(random: Random, previous: Previous, options: QuestionOptions): Question | null {
  const object = subjectOf(previous.question);
  if (!object) return null;
  const kind = random.pick(["color", "size", "texture", "where"] as const);
  if (kind === previous.question.kind || (kind === "color" && previous.isColorKnown)) return null;
  return aboutObject(object, kind, "it", random.pick(ABOUT_IT[kind]), options);
}

function subjectOf(question: Question): SceneObject | null {
  const isAboutOne = ["color", "shape", "size", "texture", "where"].includes(question.kind);
  return isAboutOne ? (question.about[0] ?? null) : null;
}

function isColorKnown(question: Question, previous: Previous | null): boolean {
  const color = question.about[0]?.color ?? "";
  if (question.kind === "color" || question.topic?.includes(color)) return true;
  return question.topic === "it" && previous?.isColorKnown === true;
}

function turnOf(question: Question, style: Style, isFirst: boolean, random: Random): Turn {
  const text = random.chance(HASTY_SHARE) ? hasty(question.text) : question.text;
  return {
    kind: question.kind,
    question: isFirst && style === "short" ? text + SHORT_ANSWER_SUFFIX : text,
    short: question.short,
    answer: style === "short" ? question.short : question.sentence,
    masked: maskedWords(question),
  };
}

/** The shapes that make held-out pairs with the objects' colors, and the colors that do with their shapes. */
function maskedWords({ kind, about }: Question): string[] {
  const shapes = about.filter((object) => object.kind === "shape");
  const asksShape = kind === "shape" || kind === "describe";
  const asksColor = kind === "color" || kind === "describe";
  return [
    ...(asksShape ? SHAPES.filter((shape) => shapes.some(({ color }) => isHeldOut(color, shape))) : []),
    ...(asksColor ? COLORS.filter((color) => shapes.some(({ shape }) => isHeldOut(color, shape))) : []),
  ];
}

function hasty(text: string): string {
  return (text.slice(0, 1).toLowerCase() + text.slice(1)).replace(/[.?!]$/, "");
}
