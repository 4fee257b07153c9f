/** Makes docs/reference/errors.md: every error code with its HTTP status, from the table in packages/protocol. */
import { ERROR_TABLE, isErrorCode, type ErrorCode } from "@llava/protocol";
import { markdownTable } from "./markdown-table.ts";

interface ErrorTexts {
  readonly meaning: string;
  /** What the client, or the operator where the client cannot help it, should do. */
  readonly advice: string;
}

/** Here and not in the error table, which is part of what a browser loads. */
const TEXTS: Readonly<Record<ErrorCode, ErrorTexts>> = {
  invalid_request: {
    meaning: "A field, a parameter or a command line is wrong.",
    advice: "Change what the message and `param` name.",
  },
  invalid_image: {
    meaning: "The bytes are no image that can be decoded, or too large.",
    advice: "Send PNG, JPEG or WebP within the limits that the message names.",
  },
  image_count_mismatch: {
    meaning: "The prompt has more or fewer `<image>` places than there are images.",
    advice: "Send as many images as the prompt has places.",
  },
  context_length_exceeded: {
    meaning: "Prompt and answer do not fit into the model's context.",
    advice: "Shorten the conversation, send fewer images or lower `max_tokens`.",
  },
  image_url_blocked: {
    meaning: "The worker fetches no images from this address.",
    advice: "Send the image as a data URL or a blob; operators allow hosts with `--allow-image-urls`.",
  },
  image_fetch_failed: {
    meaning: "The image's address did not give an image.",
    advice: "Check the address, or send the image itself.",
  },
  unauthorized: {
    meaning: "There is no key or signature, or a wrong one.",
    advice: "Send `Authorization: Bearer KEY`.",
  },
  forbidden: {
    meaning: "The key, the address or the page may not do this.",
    advice: "Use a key that may; operators find the flag in the message.",
  },
  not_found: { meaning: "There is no such address.", advice: "Check path and method." },
  model_not_found: {
    meaning: "No worker serves a model of this name.",
    advice: "Take a name from `GET /v1/models`.",
  },
  blob_missing: {
    meaning: "The request refers to an uploaded image that the server no longer has.",
    advice: "Upload it again with `PUT /v1/blobs/sha256:…` and repeat the request.",
  },
  timeout: {
    meaning: "The request's body did not come in time, or the answer took longer than is allowed.",
    advice: "Send it again, over a faster connection or with a smaller `max_tokens`.",
  },
  conflict: {
    meaning: "What the request wants to change was changed meanwhile.",
    advice: "Read the present state, then try again.",
  },
  request_too_large: {
    meaning: "The body is larger than the endpoint takes.",
    advice: "Send fewer or smaller images.",
  },
  unsupported_media_type: {
    meaning: "The body is compressed or of another type than the endpoint takes.",
    advice: "Send JSON with `content-type: application/json`, uncompressed.",
  },
  quarantined: {
    meaning: "This very request has crashed workers and is not tried again for a while.",
    advice: "Change the request; operators look into the workers' logs.",
  },
  overloaded: {
    meaning: "All places and the queue are taken.",
    advice: "Ask again after `retry-after`.",
  },
  rate_limited: {
    meaning: "The client has asked more often than its limit allows.",
    advice: "Ask again after `retry-after`; operators raise `--client-requests-per-minute`.",
  },
  headers_too_large: {
    meaning: "The request's headers or its address are too long.",
    advice: "Send fewer and shorter ones.",
  },
  cancelled: {
    meaning: "The client stopped the answer or left.",
    advice: "Nothing has to be done; the status is for logs, as in nginx.",
  },
  invalid_checkpoint: {
    meaning: "The model's folder is incomplete or damaged.",
    advice: "Operators: run `llava doctor --model-path FOLDER` and download the folder again.",
  },
  unsupported_model: {
    meaning: "The checkpoint is of an architecture that this version cannot build.",
    advice: "Operators: serve a model that the message lists.",
  },
  runtime_failure: {
    meaning: "ONNX Runtime or a device failed.",
    advice: "Ask again; operators look into the worker's log.",
  },
  out_of_memory: {
    meaning: "The model or the request needs more memory than there is.",
    advice: "Operators: free memory, or quantize with `--load-8bit` or `--load-4bit`.",
  },
  internal: {
    meaning: "The server failed in a way that was not foreseen.",
    advice: "Ask again; operators find the reason in the log under the request's id.",
  },
  worker_lost: {
    meaning: "The worker ended in the middle of the answer and no other could go on.",
    advice: "Ask again.",
  },
  no_worker: {
    meaning: "No worker serves the model now, or no controller answers.",
    advice: "Ask again later; operators look at `llava ps`.",
  },
  loading: { meaning: "The model is still being loaded.", advice: "Ask again after `retry-after`." },
  shutting_down: {
    meaning: "The server is being stopped and takes nothing new.",
    advice: "Ask again, or another server.",
  },
  queue_timeout: {
    meaning: "The request waited for a place longer than is allowed.",
    advice: "Ask again later.",
  },
};

const HEAD = `# Errors

<!-- Written by "npm run docs" from ERROR_TABLE in packages/protocol/src/codec/errors.ts and the texts in scripts/docs/error-reference.ts. -->

Every failure has a code from one closed table. Over HTTP it is \`error.code\` of the body, in a stream that has begun it is
the last event. \`error.message\` is a sentence that says what was wrong, which value, and what to do; \`error.param\` names
the field of the request where there is one. "Again" says whether the same request can succeed later: then the answer
has \`retry-after\` for the statuses 429 and 503.

`;

export function errorReference(): string {
  const rows = Object.entries(TEXTS).map(([code, { meaning, advice }]) => {
    const { status, retryable } = isErrorCode(code) ? ERROR_TABLE[code] : { status: "", retryable: false };
    return [`\`${code}\``, String(status), retryable ? "yes" : "no", meaning, advice];
  });
  return HEAD + markdownTable(["code", "HTTP", "again", "meaning", "what to do"], rows);
}
