/** Reads the values of flags: each reader has a zod schema and the words for what it accepts, for refusals and for docs. */
import { z } from "zod";
import { isNetwork } from "../../network/networks.ts";

export interface ValueReader<T> {
  readonly schema: z.ZodType<T, string>;
  /** Noun phrase for the values that are accepted; the refusal is "Give", this and a full stop. Empty where every text is accepted. */
  readonly wanted: string;
  /** All values, where they can be listed. */
  readonly choices?: readonly string[];
}

/** The longest time that a flag can name. */
const MAX_SECONDS = 86_400;

export const text: ValueReader<string> = { schema: z.string(), wanted: "" };

export const seconds: ValueReader<number> = {
  schema: z.string().trim().min(1).transform(Number).pipe(z.number().positive().max(MAX_SECONDS)),
  wanted: `a number of seconds above 0, up to ${MAX_SECONDS}`,
};

/** `cuda:N` has as many digits as `parseDevice` of packages/runtime takes. */
export const device: ValueReader<string> = {
  schema: z.string().regex(/^(cpu|cuda(:\d{1,3})?|webgpu)$/),
  wanted: "cpu, cuda, cuda:N or webgpu",
};

export const network: ValueReader<string> = {
  schema: z.string().refine(isNetwork),
  wanted: "a network such as 10.1.0.0/16 or fd00::/8",
};

/** Gives the address without a slash at its end, so that a path can be appended. */
export const httpUrl: ValueReader<string> = {
  schema: z
    .string()
    .refine((address) => {
      const url = URL.parse(address);
      return url !== null && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username;
    })
    .transform((address) => new URL(address).href.replace(/\/+$/, "")),
  wanted: "an address such as http://10.0.0.5:10000",
};

export function whole(min: number, max: number): ValueReader<number> {
  return {
    schema: z.string().regex(/^\d+$/).transform(Number).pipe(z.number().min(min).max(max)),
    wanted: `a whole number from ${min} to ${max}`,
  };
}

export function number(min: number, max: number, unit = ""): ValueReader<number> {
  return {
    schema: z.string().trim().min(1).transform(Number).pipe(z.number().min(min).max(max)),
    wanted: `a number${unit === "" ? "" : ` of ${unit}`} from ${min} to ${max}`,
  };
}

export function choice<const T extends string>(choices: readonly T[]): ValueReader<T> {
  return { schema: z.enum(choices), wanted: `one of ${choices.join(", ")}`, choices };
}
