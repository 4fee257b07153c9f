"""Makes the tokenizer goldens of packages/processing/test/golden: two small tokenizers of the kinds that Llama models have,
and what Hugging Face's own (Rust) library makes of some texts with them.

Run by hand, never in CI, with the packages of scripts/reference/requirements.txt.
"""

import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = Path(__file__).resolve().parents[2] / "packages" / "processing" / "test" / "golden"

CORPUS = [
    "What color is the circle? The circle is red.",
    "How many squares are there? There are three squares.",
    "Is the triangle to the left of the star? Yes, it is.",
    "Describe the picture. A small blue star is above a large green square.",
    "The assistant answers the user's questions about the picture in a few words.",
] * 4

TEXTS = [
    "",
    " ",
    "What color is the circle?",
    "  two  spaces\nand\ttabs ",
    "A ",
    "\nB",
    "naïve café, 図形は赤い 🟥!",
    "USER: What color? ASSISTANT: red</s>USER: Is it? ASSISTANT:",
    "<s>[INST] hi [/INST]",
    "the</s> the",
    "e\u0301 and \u00e9",
    "zzqx~^`",
]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in {"llama": sentencepiece_like, "byte-level": byte_level}.items():
        tokenizer = make()
        definition = json.loads(tokenizer.to_str())
        (FOLDER / f"{name}-tokenizer.json").write_text(json.dumps(definition, ensure_ascii=False) + "\n")
        cases = [case(tokenizer, text) for text in TEXTS]
        (FOLDER / f"{name}-expected.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


def case(tokenizer: Tokenizer, text: str) -> dict:
    plain = tokenizer.encode(text, add_special_tokens=False).ids
    return {
        "text": text,
        "ids": plain,
        "withSpecial": tokenizer.encode(text).ids,
        "decoded": tokenizer.decode(plain, skip_special_tokens=False),
        "decodedWords": tokenizer.decode(plain, skip_special_tokens=True),
    }


def sentencepiece_like() -> Tokenizer:
    """As the converted tokenizers of Llama 1 and 2: a space in front, bytes for unknown characters."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    trainer = trainers.BpeTrainer(vocab_size=420, special_tokens=["<unk>", "<s>", "</s>", *byte_tokens], show_progress=False)
    tokenizer.train_from_iterator(CORPUS, trainer)
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = [token for token in definition["added_tokens"] if token["id"] < 3]
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    tokenizer.pre_tokenizer = None
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = start_with_bos(1)
    tokenizer.add_special_tokens([AddedToken("<image>", normalized=False), AddedToken("<pad>", normalized=False)])
    return tokenizer


def byte_level() -> Tokenizer:
    """As GPT-2 and Llama 3, with turns as single tokens; `ASSISTANT:` swallows the space before it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [
        *(AddedToken(text, normalized=False, special=True) for text in ("<s>", "</s>", "<pad>", "<image>", "USER:")),
        AddedToken("ASSISTANT:", normalized=False, special=True, lstrip=True),
    ]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = start_with_bos(0)
    return tokenizer


def start_with_bos(bos: int) -> processors.TemplateProcessing:
    return processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", bos)])


if __name__ == "__main__":
    main()
