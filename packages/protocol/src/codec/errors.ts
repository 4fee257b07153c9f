/**
 * Lists every failure that a person or a program can see, in one closed table: the status of the HTTP answer, and whether
 * trying again can help. The sentence belongs to the place that throws: it names what was wrong, the value, and what to do.
 */
export const ERROR_TABLE = {
  invalid_request: { status: 400, retryable: false },
  invalid_image: { status: 400, retryable: false },
  image_count_mismatch: { status: 400, retryable: false },
  context_length_exceeded: { status: 400, retryable: false },
  image_url_blocked: { status: 400, retryable: false },
  image_fetch_failed: { status: 400, retryable: false },
  unauthorized: { status: 401, retryable: false },
  forbidden: { status: 403, retryable: false },
  not_found: { status: 404, retryable: false },
  model_not_found: { status: 404, retryable: false },
  /** A body refers to an image that this server no longer has; the client uploads it again. */
  blob_missing: { status: 404, retryable: false },
  timeout: { status: 408, retryable: true },
  conflict: { status: 409, retryable: false },
  request_too_large: { status: 413, retryable: false },
  unsupported_media_type: { status: 415, retryable: false },
  /** This request has crashed workers before and is not tried again for a while. */
  quarantined: { status: 422, retryable: false },
  overloaded: { status: 429, retryable: true },
  rate_limited: { status: 429, retryable: true },
  headers_too_large: { status: 431, retryable: false },
  cancelled: { status: 499, retryable: false },
  invalid_checkpoint: { status: 500, retryable: false },
  unsupported_model: { status: 500, retryable: false },
  runtime_failure: { status: 500, retryable: true },
  // The same request would need the same memory again.
  out_of_memory: { status: 500, retryable: false },
  internal: { status: 500, retryable: true },
  worker_lost: { status: 502, retryable: true },
  no_worker: { status: 503, retryable: true },
  /** The server is up and its model is not yet. */
  loading: { status: 503, retryable: true },
  shutting_down: { status: 503, retryable: true },
  queue_timeout: { status: 503, retryable: true },
} as const satisfies Record<string, { status: number; retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_TABLE;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERROR_TABLE, value);
}

/** The one error class that passes between packages. Its `message` is a sentence for users; its `cause` is for the log. */
export class LlavaError extends Error {
  override readonly name = "LlavaError";
  readonly code: ErrorCode;
  /** The field of the request's body that was wrong, `messages[0].content`; null where there is none to name. */
  readonly param: string | null;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; param?: string | null } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
  }

  get status(): number {
    return ERROR_TABLE[this.code].status;
  }

  get retryable(): boolean {
    return ERROR_TABLE[this.code].retryable;
  }
}

/** Any thrown value as a LlavaError. An unforeseen one becomes `internal` with a sentence that gives nothing away. */
export function toLlavaError(thrown: unknown): LlavaError {
  if (thrown instanceof LlavaError) return thrown;
  return new LlavaError("internal", "The server failed on this request. Its log says why; try again.", {
    cause: thrown,
  });
}
