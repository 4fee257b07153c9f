/** A model that gives the logits of every position of an answer that is known already: nothing is sampled. */
import { encoderGraph, ENCODER_IO } from "@llava/models";
import {
  decodeImage,
  findConversation,
  IMAGE_TOKEN,
  pixelValues,
  promptText,
  renderPrompt,
} from "@llava/processing";
import { type ModelFolder, openModelFolder } from "@llava/models";
import { Session, Value } from "@llava/runtime";
import { Decoder } from "../../../packages/engine/src/runner/decoder.ts";
import type { WeightDType } from "../../../packages/engine/src/weights/weight-dtype.ts";
import { loadWeights } from "../../../packages/engine/src/weights/weights.ts";

export interface Sample {
  readonly question: string;
  readonly answer: string;
  /** An encoded file. */
  readonly image: Uint8Array | null;
}

const CACHE_BYTES = 2 ** 30;
const signal = new AbortController().signal;

export class LogitsModel implements Disposable {
  readonly vocabulary: number;
  readonly #folder: ModelFolder;
  readonly #encoder: Session;
  readonly #decoder: Decoder;

  private constructor(folder: ModelFolder, encoder: Session, decoder: Decoder) {
    this.vocabulary = folder.description.text.vocabSize;
    this.#folder = folder;
    this.#encoder = encoder;
    this.#decoder = decoder;
  }

  static async load(
    folder: string,
    options: { readonly dtype: WeightDType; readonly quantizesVision: boolean },
  ): Promise<LogitsModel> {
    const model = await openModelFolder(folder);
    const { description } = model;
    const { encoder, decoder, isWhole } = await loadWeights(model.weights, description, options);
    if (!(await isWhole)) return await LogitsModel.load(folder, options);
    using loaded = new DisposableStack();
    const tower = loaded.use(
      await Session.load(encoderGraph(description, encoder.source), { externalDataFolder: encoder.folder }),
    );
    const text = loaded.use(
      await Decoder.load(description, decoder.source, CACHE_BYTES, { externalDataFolder: decoder.folder }),
    );
    await text.resize(1, description.text.contextLength);
    loaded.move();
    return new LogitsModel(model, tower, text);
  }

  /** [positions, vocabulary]: what the model expects at each token of the answer, knowing those before it. */
  async logits({ question, answer, image }: Sample): Promise<Float32Array> {
    const asked = this.#ids(question, image !== null);
    const whole = this.#ids(question, image !== null, answer);
    using features = image === null ? undefined : await this.#features(image);
    const { tokensPerImage } = this.#folder.description.vision;
    const start = whole.indexOf(IMAGE_TOKEN);
    const ids = whole.flatMap((id) =>
      id === IMAGE_TOKEN ? Array.from({ length: tokensPerImage }, () => 0) : [id],
    );
    const featureRows = ids.map((_, i) =>
      start >= 0 && i >= start && i < start + tokensPerImage ? i - start : -1,
    );
    const from = ids.length - (whole.length - asked.length);
    const logitRows = Array.from({ length: ids.length - from }, (_, i) => from - 1 + i);
    return await this.#decoder.prefill({ slot: 0, ids, featureRows, features, past: 0, logitRows }, signal);
  }

  [Symbol.dispose](): void {
    this.#decoder[Symbol.dispose]();
    this.#encoder[Symbol.dispose]();
  }

  #ids(question: string, hasImage: boolean, answer = ""): number[] {
    const text = hasImage ? `<image>\n${question}` : question;
    const template = findConversation(this.#folder.description.conversation);
    const messages = [{ role: "user" as const, text }];
    const prompt = promptText(renderPrompt(template, messages));
    return [...this.#folder.tokenizer.encodePrompt(answer === "" ? prompt : `${prompt} ${answer}`)];
  }

  async #features(file: Uint8Array): Promise<Value> {
    const { vision, pixels, projector } = this.#folder.description;
    const values = await pixelValues(await decodeImage(file), pixels);
    using input = Value.wrap("float32", values, [1, 3, vision.imageSize, vision.imageSize]);
    const { [ENCODER_IO.features]: features } = await this.#encoder.run({ [ENCODER_IO.pixels]: input }, [
      ENCODER_IO.features,
    ]);
    if (!features) throw new Error("The encoder gave no features.");
    using owned = features;
    return owned.view(0, [vision.tokensPerImage, projector.outputSize]);
  }
}
