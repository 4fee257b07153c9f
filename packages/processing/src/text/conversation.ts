/**
 * Lists the conversation templates that LLaVA's checkpoints were tuned on, constant to the byte; prompt.ts renders them.
 * Source: LLaVA's llava/conversation.py. Its templates `default` and `v0` have a long worked example and are for text
 * only; they are not built here.
 */
import { LlavaError } from "@llava/protocol";

export interface ConversationTemplate {
  readonly style: "single" | "two" | "mpt" | "llama_2" | "plain";
  readonly user: string;
  readonly assistant: string;
  /** The whole system text; "" where the template has none. */
  readonly system: string;
  /** Text in front of a request's system message, which then stands in place of `system`. */
  readonly systemPrefix: string;
  /** False: the model was trained without a system text. */
  readonly takesSystem: boolean;
  readonly separator: string;
  /** End of an assistant's turn in the styles that have two separators. */
  readonly secondSeparator: string | null;
  /** True: the image goes into a turn of its own, `<Image><image></Image>`, answered by `Received.`. */
  readonly tagsImages: boolean;
}

/** The keys of all templates. */
export function conversationNames(): readonly string[] {
  return [...CONVERSATIONS.keys()];
}

/** Throws `invalid_request` with the list of names when there is no such template; `param` is the field that named it. */
export function findConversation(name: string, param?: string): ConversationTemplate {
  const template = CONVERSATIONS.get(name);
  if (template !== undefined) return template;
  throw new LlavaError(
    "invalid_request",
    `There is no conversation template "${name.slice(0, 64)}". Choose one of: ${conversationNames().join(", ")}.`,
    param === undefined ? {} : { param },
  );
}

/**
 * The key of the template that LLaVA's web server takes for a model of this name.
 * Throws `unsupported_model` for the two kinds whose template the original names but never defines.
 */
export function chooseConversation(modelName: string): string {
  const name = modelName.toLowerCase();
  if (!name.includes("llava")) {
    // As in the original, this group looks at the name as written.
    if (modelName.includes("mpt")) throw undefinedTemplate(modelName, "mpt_text");
    return modelName.includes("llama-2") ? "llama_2" : "vicuna_v1";
  }
  const isProjectorOnly = name.includes("mmtag") || (name.includes("plain") && !name.includes("finetune"));
  if (name.includes("llama-2")) return "llava_llama_2";
  if (name.includes("mistral") || name.includes("mixtral")) {
    if (name.includes("orca")) throw undefinedTemplate(modelName, "mistral_orca");
    return name.includes("hermes") ? "chatml_direct" : "mistral_instruct";
  }
  if (name.includes("llava-v1.6-34b")) return "chatml_direct";
  if (name.includes("v1")) return isProjectorOnly ? "v1_mmtag" : "llava_v1";
  if (name.includes("mpt")) return "mpt";
  return isProjectorOnly ? "v0_mmtag" : "llava_v0";
}

/** The string that ends an answer, or null for the templates that have none. */
export function stopString(template: ConversationTemplate): string | null {
  const endsWithFirst = template.style === "single" || template.style === "mpt";
  return endsWithFirst ? template.separator : template.secondSeparator;
}

function undefinedTemplate(modelName: string, template: string): LlavaError {
  return new LlavaError(
    "unsupported_model",
    `Models like "${modelName.slice(0, 128)}" need the conversation template "${template}", which LLaVA never published. Name the template to use, as conversation_template in config.json or as an option.`,
  );
}

const CURIOUS_USER =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";
const CURIOUS_HUMAN =
  "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions.";
const LANGUAGE_AND_VISION =
  "You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.";
// No space between the two sentences: so it was in training.
const IMAGE_TAGS =
  "A chat between a curious user and an artificial intelligence assistant. The assistant is able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.The visual content will be provided with the following format: <Image>visual content</Image>.";
// Two spaces after "safe.": so it was in training.
const LLAMA_2 =
  "You are a helpful, respectful and honest assistant. Always answer as helpfully as possible, while being safe.  Your answers should not include any harmful, unethical, racist, sexist, toxic, dangerous, or illegal content. Please ensure that your responses are socially unbiased and positive in nature.\n\nIf a question does not make any sense, or is not factually coherent, explain why instead of answering something not correct. If you don't know the answer to a question, please don't share false information.";
const CHATML_SYSTEM = "<|im_start|>system\n";

const two: ConversationTemplate = {
  style: "two",
  user: "USER",
  assistant: "ASSISTANT",
  system: CURIOUS_USER,
  systemPrefix: "",
  takesSystem: true,
  separator: " ",
  secondSeparator: "</s>",
  tagsImages: false,
};
const single: ConversationTemplate = {
  style: "single",
  user: "Human",
  assistant: "Assistant",
  system: CURIOUS_HUMAN,
  systemPrefix: "",
  takesSystem: true,
  separator: "###",
  secondSeparator: null,
  tagsImages: false,
};
const chatml: ConversationTemplate = {
  style: "mpt",
  user: "<|im_start|>user\n",
  assistant: "<|im_start|>assistant\n",
  system: `${CHATML_SYSTEM}Answer the questions.`,
  systemPrefix: CHATML_SYSTEM,
  takesSystem: true,
  separator: "<|im_end|>",
  secondSeparator: null,
  tagsImages: false,
};
const llama2: ConversationTemplate = {
  ...two,
  style: "llama_2",
  system: LLAMA_2,
  separator: "<s>",
};
const plain: ConversationTemplate = {
  style: "plain",
  user: "",
  assistant: "",
  system: "",
  systemPrefix: "",
  takesSystem: false,
  separator: "\n",
  secondSeparator: null,
  tagsImages: false,
};

/** Every template by its key in the original; `llava_demo` is our own demo model's. */
export const CONVERSATIONS: ReadonlyMap<string, ConversationTemplate> = new Map([
  ["v1", two],
  ["vicuna_v1", two],
  ["llava_v1", { ...two, system: CURIOUS_HUMAN }],
  ["v1_mmtag", { ...two, system: IMAGE_TAGS, tagsImages: true }],
  ["llava_v0", single],
  ["v0_mmtag", { ...single, system: IMAGE_TAGS, tagsImages: true }],
  ["llama_2", llama2],
  ["llava_llama_2", { ...llama2, system: LANGUAGE_AND_VISION }],
  ["mistral_instruct", { ...llama2, system: "", separator: "" }],
  ["chatml_direct", chatml],
  ["mistral_direct", chatml],
  [
    "mpt",
    {
      ...chatml,
      system: `${CHATML_SYSTEM}A conversation between a user and an LLM-based AI assistant. The assistant gives helpful and honest answers.`,
    },
  ],
  ["plain", plain],
  ["v0_plain", plain],
  ["llava_demo", { ...two, system: "", takesSystem: false }],
]);
