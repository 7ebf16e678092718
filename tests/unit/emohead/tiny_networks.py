"""Networks with random weights and a width of 16, laid into a Hugging Face cache as its tools would: no download."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from emobench.torchvision_schemas import ensure_torchvision

ensure_torchvision()  # before anything imports transformers

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEECH, EMOTION, BERT, CLIP, WHISPER = "tiny/speech", "tiny/emotion", "tiny/bert", "tiny/clip", "tiny/whisper"
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CONVOLUTIONS: dict[str, Any] = {
    "conv_dim": (8,) * 7, "conv_stride": (5, 2, 2, 2, 2, 2, 2), "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
}  # fmt: skip
SMALL: dict[str, Any] = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def place(hub: Path, model: str) -> Path:
    """The folder of a model's files in a cache, made as huggingface_hub does."""
    base = hub / f"models--{model.replace('/', '--')}"
    folder = base / "snapshots" / COMMIT
    folder.mkdir(parents=True, exist_ok=True)
    (base / "refs").mkdir(exist_ok=True)
    (base / "refs" / "main").write_text(COMMIT)
    return folder


def speech(hub: Path, model: str = SPEECH, kind: str = "Wav2Vec2", seed: int = 0, **changes: Any) -> Path:
    import transformers

    torch.manual_seed(seed)
    folder = place(hub, model)
    options = SMALL | CONVOLUTIONS | {
        "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "feat_extract_norm": "layer", "vocab_size": 8,
    } | changes  # fmt: skip
    config = getattr(transformers, f"{kind}Config")(**options)
    getattr(transformers, f"{kind}Model")(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return folder


def emotion(hub: Path) -> Path:
    """As speech-emotion networks are published: the classifier's weights lie beside the encoder's."""
    import transformers

    torch.manual_seed(5)
    folder = place(hub, EMOTION)
    options = SMALL | CONVOLUTIONS | {"num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "num_labels": 4}
    transformers.Wav2Vec2ForSequenceClassification(transformers.Wav2Vec2Config(**options)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def bert(hub: Path, positions: int = 64) -> Path:
    import transformers
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    torch.manual_seed(1)
    folder = place(hub, BERT)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *(f"##{c}" for c in LETTERS), "da"]
    core = Tokenizer(models.WordPiece({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    core.normalizer = normalizers.BertNormalizer()
    core.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=core, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    tokenizer.save_pretrained(folder)
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=positions, **SMALL)
    transformers.BertModel(config).save_pretrained(folder)
    return folder


def byte_letters() -> list[str]:
    """The 256 printable stand-ins of bytes in byte-level vocabularies, in their usual order."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def clip(hub: Path) -> Path:
    """A whole CLIP, of which only the text half is needed."""
    import transformers

    torch.manual_seed(2)
    folder = place(hub, CLIP)
    letters = byte_letters()
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    text = transformers.CLIPTextConfig(
        vocab_size=len(words), bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, max_position_embeddings=77,
        projection_dim=8, **SMALL,
    )  # fmt: skip
    vision = transformers.CLIPVisionConfig(image_size=8, patch_size=4, projection_dim=8, **SMALL)
    config = transformers.CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(folder)
    return folder


def whisper(hub: Path) -> Path:
    import transformers

    torch.manual_seed(4)
    folder = place(hub, WHISPER)
    special = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    words = [*byte_letters(), *special]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.WhisperTokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
    extractor = transformers.WhisperFeatureExtractor()
    transformers.WhisperProcessor(extractor, tokenizer).save_pretrained(folder)
    end, start, english, transcribe, no_times = (words.index(word) for word in special)
    config = transformers.WhisperConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, max_target_positions=24,
        pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    network = transformers.WhisperForConditionalGeneration(config)
    network.generation_config = transformers.GenerationConfig(
        is_multilingual=True, lang_to_id={"<|en|>": english}, task_to_id={"transcribe": transcribe},
        no_timestamps_token_id=no_times, decoder_start_token_id=start, eos_token_id=end, pad_token_id=end,
        max_length=16, bos_token_id=end,
    )  # fmt: skip
    network.save_pretrained(folder)
    return folder
