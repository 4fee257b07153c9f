/** ImageFetcher fetches images by their addresses: each redirect is checked anew, few at a time, failures remembered. */
import { detectFormat, LlavaError } from "@llava/protocol";
import type { FastifyBaseLogger } from "fastify";
import { download, type Downloaded } from "./download.ts";
import { FailedAddresses } from "./failed-addresses.ts";
import {
  blocked,
  checkAddresses,
  failed,
  FETCH_LIMITS,
  FETCH_POLICY,
  hostOf,
  parseImageUrl,
  type FetchLimits,
  type FetchPolicy,
} from "./fetch-policy.ts";
import { isPublicAddress } from "./public-address.ts";
import { createResolver, type Resolve } from "./resolver.ts";
import { FetchSlots } from "./fetch-slots.ts";

export interface ImageFetcherOptions {
  readonly policy?: Partial<FetchPolicy>;
  readonly limits?: Partial<FetchLimits>;
  readonly resolve?: Resolve;
  /** Replaces the rule for public addresses, for tests whose servers are on this machine. */
  readonly isPublic?: (address: string) => boolean;
  /** Certificates of authorities, PEM; Node's own list when absent. */
  readonly authorities?: string;
}

/** The request that an image is fetched for. */
export interface FetchFor {
  /** The client whose downloads are counted together; null for a controller, which counts its own clients. */
  readonly client: string | null;
  readonly signal: AbortSignal;
  readonly log: FastifyBaseLogger;
}

export class ImageFetcher {
  readonly #policy: FetchPolicy;
  readonly #limits: FetchLimits;
  readonly #resolve: Resolve;
  readonly #isPublic: (address: string) => boolean;
  readonly #authorities: string | undefined;
  readonly #slots: FetchSlots;
  readonly #failed: FailedAddresses;

  constructor(options: ImageFetcherOptions = {}) {
    this.#policy = { ...FETCH_POLICY, ...options.policy };
    this.#limits = { ...FETCH_LIMITS, ...options.limits };
    this.#resolve = options.resolve ?? createResolver(this.#limits.resolveMs);
    const { deniedNetworks } = this.#policy;
    this.#isPublic = options.isPublic ?? ((address) => isPublicAddress(address, deniedNetworks));
    this.#authorities = options.authorities;
    this.#slots = new FetchSlots(this.#limits.perClient, this.#limits.all);
    this.#failed = new FailedAddresses(this.#limits.failedMs);
  }

  /** Throws `image_url_blocked`, `image_fetch_failed`, `invalid_image` for a file that is no image, or the signal's reason. */
  async fetch(text: string, { client, signal, log }: FetchFor): Promise<Uint8Array> {
    const url = parseImageUrl(text, this.#policy);
    this.#failed.check(url.href);
    const late = AbortSignal.timeout(this.#limits.totalMs);
    const startedMs = performance.now();
    let outcome = "cancelled";
    try {
      const either = AbortSignal.any([signal, late]);
      const bytes = await this.#slots.take(client, either, async () => await this.#follow(url, either));
      outcome = "fetched";
      return bytes;
    } catch (thrown) {
      signal.throwIfAborted();
      const error = late.aborted ? failed(`it did not come within ${this.#limits.totalMs / 1000} s`) : thrown;
      if (!(error instanceof LlavaError)) throw error;
      outcome = error.code;
      this.#failed.note(url.href, error);
      throw error;
    } finally {
      // The host alone: paths and queries may hold secrets.
      log.info(
        { host: hostOf(url), outcome, ms: Math.round(performance.now() - startedMs) },
        "image fetched",
      );
    }
  }

  async #follow(first: URL, signal: AbortSignal): Promise<Uint8Array> {
    let url = first;
    for (let redirects = 0; redirects <= this.#policy.maxRedirects; redirects += 1) {
      const found = await this.#get(url, signal);
      if (found.type === "file") return checkFile(found);
      url = parseImageUrl(found.location, this.#policy, url);
    }
    const { maxRedirects } = this.#policy;
    throw blocked(
      maxRedirects === 0
        ? "leads to another address, which is not followed"
        : `leads on more than ${maxRedirects} times`,
    );
  }

  async #get(url: URL, signal: AbortSignal): Promise<Downloaded> {
    const addresses = await this.#resolve(hostOf(url), signal);
    checkAddresses(addresses, this.#isPublic);
    const { limits, authorities } = { limits: this.#limits, authorities: this.#authorities };
    return await download({
      url,
      addresses,
      limits,
      signal,
      ...(authorities === undefined ? {} : { authorities }),
    });
  }
}

/** The bytes must be an image of the type that the server declares. */
function checkFile({ mediaType, bytes }: Extract<Downloaded, { type: "file" }>): Uint8Array {
  const format = detectFormat(bytes);
  const declared = mediaType.replace("image/jpg", "image/jpeg");
  if (declared.endsWith("/octet-stream") || declared === `image/${format}`) return bytes;
  throw failed(`the server says ${mediaType}, but sent image/${format}`);
}
