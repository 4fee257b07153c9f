"""Tiny random LLaVA models and their files, for golden.py: real in shape and layout, without any knowledge.

A random model is useless as a reference when its answers hardly depend on its weights: so linear layers keep the
size of what they are given, norms and biases are far from neutral, and the head spreads the logits.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    CONFIG_MAPPING,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

SPECIALS = ["<unk>", "<s>", "</s>", "<pad>", "<image>"]
BOS, EOS, PAD, IMAGE = 1, 2, 3, 4
MERGES = ["in", "er", "th", "at", "is", "Ġa", "Ġth", "Ġthe", "Ġis", "Ġin"]
VOCABULARY = len(SPECIALS) + 256 + len(MERGES)
IMAGE_SIZE = 28
CONTEXT = 192


@dataclass(frozen=True)
class Case:
    """What one golden folder is about; everything not named here is as in llava-1.5."""

    name: str
    dtype: torch.dtype
    # hf-4.51: as nearly all published files. hf-4.52: the names in memory from 4.52 on. hf-5: as 5.x writes files.
    layout: str
    prompts: tuple[str, ...]
    hidden: int = 64
    intermediate: int = 64
    layers: int = 2
    heads: int = 4
    head_size: int = 16
    kv_heads: int = 4
    tied: bool = False
    rope_theta: float = 10000.0
    feature_layer: int = -2
    # "full" keeps the class token.
    select: str = "default"
    vision_activation: str = "quick_gelu"
    projector_bias: bool = True
    # Rows of the embedding; published models have more than the tokenizer has tokens.
    vocabulary: int = VOCABULARY
    shards: int = 1
    # model_type of the language model, and keys of its config that only its family has.
    text_family: str = "llama"
    text_config: dict = field(default_factory=dict)

    @property
    def tokens_per_image(self) -> int:
        return 16 + (self.select == "full")


def make_config(case: Case) -> LlavaConfig:
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=40,
        projection_dim=32,
        num_hidden_layers=3 if case.feature_layer == -2 else 2,
        num_attention_heads=2,
        image_size=IMAGE_SIZE,
        patch_size=7,
        hidden_act=case.vision_activation,
    )
    text = CONFIG_MAPPING[case.text_family](
        vocab_size=case.vocabulary,
        hidden_size=case.hidden,
        intermediate_size=case.intermediate,
        num_hidden_layers=case.layers,
        num_attention_heads=case.heads,
        num_key_value_heads=case.kv_heads,
        head_dim=case.head_size,
        max_position_embeddings=CONTEXT,
        rope_theta=case.rope_theta,
        rms_norm_eps=1e-5,
        tie_word_embeddings=case.tied,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        **case.text_config,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        image_seq_length=case.tokens_per_image,
        vision_feature_layer=case.feature_layer,
        vision_feature_select_strategy=case.select,
        multimodal_projector_bias=case.projector_bias,
        tie_word_embeddings=case.tied,
        pad_token_id=PAD,
    )


def make_model(case: Case, seed: int) -> LlavaForConditionalGeneration:
    """In float32, with weights that the file's dtype can hold exactly."""
    torch.manual_seed(seed)
    config = make_config(case)
    config._attn_implementation = "eager"
    model = LlavaForConditionalGeneration(config).float().eval()
    head = "model.language_model.embed_tokens.weight" if case.tied else "lm_head.weight"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            values = random_values(name, parameter.shape, case)
            if name == head:
                # An answer of 64 tokens would nearly always hold an end or image token otherwise.
                values[: len(SPECIALS)] *= 0.1
            parameter.copy_(values.to(case.dtype).float())
    return model


def random_values(name: str, shape: torch.Size, case: Case) -> torch.Tensor:
    values = torch.randn(shape)
    if "norm" in name or "layrnorm" in name:
        return 1 + 0.2 * values if name.endswith("weight") else 0.1 * values
    if name.endswith("bias"):
        return 0.2 * values
    if "embed_tokens" in name:
        # Small beside what the layers add, or a tied head would repeat the last token for ever.
        return values * (0.35 if case.tied else 0.6)
    if name.startswith("lm_head"):
        return values * 3 / shape[1] ** 0.5
    if "embedding" in name and "patch" not in name:
        return 0.5 * values
    # Queries and keys twice as large: attention that prefers some tokens shows errors that a mean would hide.
    gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.3
    return values * gain / values[0].numel() ** 0.5


def save_model(model: LlavaForConditionalGeneration, case: Case, folder: Path) -> None:
    """config.json, generation_config.json and the weights in the layout of the case."""
    model.config.dtype = case.dtype
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    if case.layout == "hf-5":
        rewrite_config_as_5(folder / "config.json")
    tensors = {
        stored_name(name, case.layout): value.detach().to(case.dtype).contiguous()
        for name, value in model.state_dict().items()
        if not (case.tied and name == "lm_head.weight")
    }
    if case.shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        save_shards(tensors, case.shards, folder)


def stored_name(name: str, layout: str) -> str:
    """`name` is that of transformers 4.57's models, which is also the layout hf-4.52."""
    if layout == "hf-4.52":
        return name
    for prefix, stored in {
        "lm_head.": "language_model.lm_head.",
        "model.language_model.": "language_model.model.",
        "model.vision_tower.": "vision_tower.",
        "model.multi_modal_projector.": "multi_modal_projector.",
    }.items():
        if name.startswith(prefix):
            name = stored + name.removeprefix(prefix)
            break
    return name.replace("vision_tower.vision_model.", "vision_tower.") if layout == "hf-5" else name


def rewrite_config_as_5(path: Path) -> None:
    config = json.loads(path.read_text())
    text = config["text_config"]
    text.pop("rope_scaling", None)
    text["rope_parameters"] = {"rope_theta": text.pop("rope_theta"), "rope_type": "default"}
    text["tie_word_embeddings"] = config["tie_word_embeddings"] = text.get("tie_word_embeddings", False)
    config["transformers_version"] = "5.23.0"
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def save_shards(tensors: dict[str, torch.Tensor], count: int, folder: Path) -> None:
    shards: list[dict[str, torch.Tensor]] = [{} for _ in range(count)]
    for index, name in enumerate(sorted(tensors)):
        shards[index * count // len(tensors)][name] = tensors[name]
    weight_map = {}
    for index, shard in enumerate(shards):
        file = f"model-{index + 1:05}-of-{count:05}.safetensors"
        save_file(shard, folder / file, metadata={"format": "pt"})
        weight_map.update(dict.fromkeys(shard, file))
    total = sum(tensor.nbytes for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2) + "\n")


def save_processor(case: Case, folder: Path) -> LlavaProcessor:
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(),
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<image>"},
        model_max_length=CONTEXT,
    )
    pixels = CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIZE}, crop_size={"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    )
    processor = LlavaProcessor(
        image_processor=pixels,
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy=case.select,
        # The class token, which "default" subtracts again.
        num_additional_image_tokens=1,
    )
    processor.save_pretrained(folder)
    return processor


def make_tokenizer() -> Tokenizer:
    """Byte-level BPE with a handful of merges: no text is unknown to it, and its file is small."""
    tokens = SPECIALS + sorted(pre_tokenizers.ByteLevel.alphabet()) + MERGES
    merges = [(token[:-1], token[-1]) if len(token) == 2 else split_merge(token) for token in MERGES]
    tokenizer = Tokenizer(
        models.BPE(vocab={token: index for index, token in enumerate(tokens)}, merges=merges, unk_token="<unk>")
    )
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    return tokenizer


def split_merge(token: str) -> tuple[str, str]:
    """The two parts that make `token`: "Ġthe" comes of "Ġth" and "e", "Ġth" of "Ġ" and "th"."""
    known = set(MERGES) | set(pre_tokenizers.ByteLevel.alphabet())
    for cut in range(1, len(token)):
        if token[:cut] in known and token[cut:] in known:
            return token[:cut], token[cut:]
    raise ValueError(token)
