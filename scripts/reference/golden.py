"""Makes the goldens of packages/engine/test/golden: tiny random LLaVA models in every layout of files, and what
Hugging Face transformers computes with them in float32.

Run by hand, never in CI:
    python -m venv /tmp/venv && /tmp/venv/bin/pip install -r scripts/reference/requirements.txt
    /tmp/venv/bin/python scripts/reference/golden.py            # all cases, a minute or two
    /tmp/venv/bin/python scripts/reference/golden.py sharded-bf16

Each case is a model folder like one from the hub, plus:
    golden.json          per prompt: text, names of images, ids, greedy tokens, smallest margin
    golden.safetensors   per prompt NAME, all float32: NAME.pixel_values [images, 3, 28, 28],
                         NAME.features [images, tokens, hidden], NAME.logits [tokens, vocabulary]
`ids` hold one image id for every image token, as Hugging Face wants them; `compactIds` hold -200 once for every
image, as LLaVA's tokenizer_image_token makes them. Files in half precision hold rounded weights; everything is
computed in float32 from those. Greedy tokens never reach an end token, so that all 64 can be compared.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from tiny_llava import BOS, IMAGE, IMAGE_SIZE, SPECIALS, Case, make_model, save_model, save_processor
from transformers import LlavaForConditionalGeneration, LlavaProcessor
from transformers import __version__ as transformers_version

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "engine" / "test" / "golden"
IMAGES = ("one.png", "two.png")
PROMPTS = {
    "picture": "USER: <image>\nWhat is this? ASSISTANT:",
    "text": "USER: Name a color. ASSISTANT:",
    "pictures": "USER: <image>\nA <image>\nWhich is red? ASSISTANT:",
    # So close to the end that a sliding window reaches it through a few layers.
    "late": "USER: What is this? <image> ASSISTANT:",
}
GREEDY_TOKENS = 64
COMPACT_IMAGE = -200
# Two logits that are each right to 1e-3, the tolerance of the tests, cannot change places at this distance.
MIN_MARGIN = 0.01
MIN_DISTINCT = 30
MAX_SEEDS = 200

CASES = (
    Case("full-f32", torch.float32, "hf-4.51", ("picture",), hidden=48, heads=3, kv_heads=3, intermediate=48),
    Case("tied-f32", torch.float32, "hf-4.51", ("picture",), hidden=48, kv_heads=2, tied=True, feature_layer=-1,
         layers=1, intermediate=96),
    Case("grouped-f16", torch.float16, "hf-4.51", ("picture", "pictures", "text"), kv_heads=2),
    Case("multi-query-bf16", torch.bfloat16, "hf-4.51", ("picture",), kv_heads=1, layers=3, rope_theta=500000.0,
         feature_layer=-1),
    Case("tied-f16-names-452", torch.float16, "hf-4.52", ("picture",), kv_heads=2, tied=True, rope_theta=1e6),
    Case("full-bf16-names-452", torch.bfloat16, "hf-4.52", ("picture",), hidden=48, feature_layer=-1,
         projector_bias=False),
    Case("grouped-f16-names-5", torch.float16, "hf-5", ("picture",), hidden=48, kv_heads=2, rope_theta=20000.0,
         select="full", vision_activation="gelu"),
    Case("sharded-bf16", torch.bfloat16, "hf-4.51", ("pictures",), heads=2, head_size=32, kv_heads=1, vocabulary=320,
         shards=3),
    Case("qwen2-f16", torch.float16, "hf-4.52", ("picture", "text"), kv_heads=2, tied=True, rope_theta=1e6,
         vocabulary=320, text_family="qwen2"),
    Case("mistral-bf16", torch.bfloat16, "hf-4.51", ("late", "text"), hidden=48, kv_heads=2, layers=3,
         text_family="mistral", text_config={"sliding_window": 8}),
)


def main() -> None:
    torch.set_num_threads(1)
    wanted = sys.argv[1:]
    FOLDER.mkdir(parents=True, exist_ok=True)
    save_images()
    for case in CASES:
        if not wanted or case.name in wanted:
            make_case(case)


def save_images() -> None:
    """Of the model's own size, so that nothing is resampled: coarse random colours, enlarged."""
    torch.manual_seed(1)
    for name in IMAGES:
        colors = torch.rand(1, 3, 6, 6)
        image = torch.nn.functional.interpolate(colors, size=IMAGE_SIZE, mode="bilinear")[0]
        array = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(array).save(FOLDER / name)


def make_case(case: Case) -> None:
    folder = FOLDER / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    processor = save_processor(case, folder)
    for seed in range(MAX_SEEDS):
        model = make_model(case, seed)
        runs = {}
        for name in case.prompts:
            run = run_prompt(model, processor, case, name)
            if run is None:
                break
            runs[name] = run
        if len(runs) == len(case.prompts):
            break
    else:
        raise SystemExit(f"{case.name}: no seed gives clear answers; change its scales in tiny_llava.py")
    save_model(model, case, folder)
    check_files(folder, case, model)
    tensors = {f"{name}.{key}": value for name, run in runs.items() for key, value in run["tensors"].items()}
    save_file(tensors, folder / "golden.safetensors")
    golden = {
        "transformers": transformers_version,
        "torch": torch.__version__,
        "seed": seed,
        "prompts": {name: run["facts"] for name, run in runs.items()},
    }
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    size = sum(file.stat().st_size for file in folder.iterdir())
    margins = ", ".join(f"{name} {run['facts']['margin']:.3f}" for name, run in runs.items())
    print(f"{case.name}: seed {seed}, {size // 1024} KB, smallest margin: {margins}", flush=True)


def run_prompt(model: LlavaForConditionalGeneration, processor: LlavaProcessor, case: Case, name: str) -> dict | None:
    """None when an answer is unclear: near a tie, repetitive, at an end token, blind to the image or to the window."""
    text = PROMPTS[name]
    names = IMAGES[: text.count("<image>")]
    inputs = prepare(processor, text, names)
    pixels = inputs.get("pixel_values")
    with torch.no_grad():
        features = None if pixels is None else torch.stack(tuple(model.get_image_features(pixels)))
        logits = model(**inputs).logits[0]
        spread = logits.std().item()
        if not 1 < spread < 10 or (pixels is not None and is_blind(model, inputs, logits)):
            return None
        if getattr(model.config.text_config, "sliding_window", None) and ignores_window(model, inputs, logits):
            return None
        answer = model.generate(
            **inputs, do_sample=False, max_new_tokens=GREEDY_TOKENS, eos_token_id=None, pad_token_id=None
        )[0, inputs["input_ids"].shape[1] :].tolist()
        if len(set(answer)) < MIN_DISTINCT or min(answer) < len(SPECIALS):
            return None
        margin = smallest_margin(model, inputs, answer)
    if margin < MIN_MARGIN:
        return None
    ids = inputs["input_ids"][0].tolist()
    tensors = {"logits": logits}
    if pixels is not None:
        tensors |= {"pixel_values": pixels, "features": features}
    facts = {
        "text": text,
        "pictures": list(names),
        "ids": ids,
        "compactIds": compact_ids(processor, case, text, ids),
        "greedy": answer,
        "margin": margin,
    }
    return {"tensors": {key: value.contiguous() for key, value in tensors.items()}, "facts": facts}


def prepare(processor: LlavaProcessor, text: str, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    images = [Image.open(FOLDER / name) for name in names]
    batch = processor(text=text, images=images or None, return_tensors="pt")
    return {key: batch[key] for key in ("input_ids", "attention_mask", "pixel_values") if key in batch}


def is_blind(model: LlavaForConditionalGeneration, inputs: dict, logits: torch.Tensor) -> bool:
    other = model(**(inputs | {"pixel_values": inputs["pixel_values"].flip(-1)})).logits[0]
    return (other[-1] - logits[-1]).abs().max().item() < 0.5


def ignores_window(model: LlavaForConditionalGeneration, inputs: dict, logits: torch.Tensor) -> bool:
    """Whether the last logits would be nearly the same with one position more in the window, or without a window."""
    config = model.model.language_model.config
    window = config.sliding_window
    others = []
    for other in (window + 1, None):
        config.sliding_window = other
        others.append(model(**inputs).logits[0])
    config.sliding_window = window
    return min((other[-1] - logits[-1]).abs().max().item() for other in others) < 0.05


def smallest_margin(model: LlavaForConditionalGeneration, inputs: dict, answer: list[int]) -> float:
    """Between the best and the second logit over all steps, from one run over everything without a KV cache."""
    ids = torch.cat([inputs["input_ids"], torch.tensor([answer])], dim=1)
    whole = inputs | {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    steps = model(**whole).logits[0, -len(answer) - 1 : -1]
    best = steps.topk(2, dim=-1)
    if best.indices[:, 0].tolist() != answer:
        return 0.0
    return (best.values[:, 0] - best.values[:, 1]).min().item()


def compact_ids(processor: LlavaProcessor, case: Case, text: str, ids: list[int]) -> list[int]:
    """The rule of LLaVA's tokenizer_image_token: pieces between images tokenized on their own, one BOS in front."""
    pieces = [processor.tokenizer(piece)["input_ids"] for piece in text.split("<image>")]
    compact = [BOS]
    for index, piece in enumerate(pieces):
        if index > 0:
            compact.append(COMPACT_IMAGE)
        compact += piece[1:]
    expanded = [id for token in compact for id in ([IMAGE] * case.tokens_per_image if token < 0 else [token])]
    assert expanded == ids, (case.name, expanded, ids)
    return compact


def check_files(folder: Path, case: Case, model: LlavaForConditionalGeneration) -> None:
    """The files alone give the same model again. The layout of 5.x cannot be loaded by the pinned release."""
    if case.layout == "hf-5":
        return
    loaded = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).state_dict()
    for name, value in model.state_dict().items():
        assert torch.equal(loaded[name], value), (case.name, name)


if __name__ == "__main__":
    main()
