"""Hugging Face transformers on the CPU in float32, as one of the programs that bench-engine.ts compares: see peer.ts.

Needs the packages of scripts/reference/requirements.txt. Arguments: model folder, threads.
"""

import json
import os
import sys
import time

import torch
from transformers import DynamicCache, LlavaForConditionalGeneration

SHORT_PROMPT = 16
# Ids that are words; the ones below are control tokens and bytes.
FIRST_WORD = 300


def main() -> None:
    folder, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    started = time.perf_counter()
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    answer({"loadMs": milliseconds(started)})
    for line in sys.stdin:
        try:
            with torch.inference_mode():
                answer(measure(model, json.loads(line)))
        except Exception as error:  # whatever it is, the parent wants to read it
            answer({"error": f"{type(error).__name__}: {error}"})


def measure(model: LlavaForConditionalGeneration, order: dict) -> dict[str, float]:
    if order["measure"] == "prompt":
        return measure_prompt(model, order["tokens"])
    if order["measure"] == "decode":
        return measure_decode(model, order["streams"], order["tokens"])
    return measure_picture(model)


def measure_prompt(model: LlavaForConditionalGeneration, tokens: int) -> dict[str, float]:
    ids = prompt(1, tokens)
    started = time.perf_counter()
    model(input_ids=ids, use_cache=True, logits_to_keep=1)
    return {"tokens": tokens, "ms": milliseconds(started)}


def measure_decode(model: LlavaForConditionalGeneration, streams: int, tokens: int) -> dict[str, float]:
    """Greedy, all streams in one batch of equal lengths: the best that the library can do."""
    cache = DynamicCache()
    logits = model(input_ids=prompt(streams, SHORT_PROMPT), past_key_values=cache, logits_to_keep=1).logits
    started = time.perf_counter()
    for _ in range(tokens):
        ids = logits[:, -1].argmax(dim=-1, keepdim=True)
        logits = model(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits
    return {"tokens": tokens * streams, "ms": milliseconds(started)}


def measure_picture(model: LlavaForConditionalGeneration) -> dict[str, float]:
    size = model.config.vision_config.image_size
    pixels = torch.randn(1, 3, size, size)
    started = time.perf_counter()
    model.get_image_features(
        pixel_values=pixels,
        vision_feature_layer=model.config.vision_feature_layer,
        vision_feature_select_strategy=model.config.vision_feature_select_strategy,
    )
    return {"encodeMs": milliseconds(started)}


def prompt(rows: int, tokens: int) -> torch.Tensor:
    return torch.randint(FIRST_WORD, 32_000, (rows, tokens))


def milliseconds(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def answer(value: dict) -> None:
    os.write(3, (json.dumps(value) + "\n").encode())


main()
