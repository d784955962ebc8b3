"""Make a tiny language model whose answers a test can assert word for word. Runs inside the engine image, by itself:

    python3 make_model.py OUT

A Qwen2 with 387 thousand parameters, its tokenizer and chat template, made without network and fitted for some seconds to six
texts; below `adapters/`, LoRA adapters by name, each fitted to a text of its own. Written beside OUT and renamed at the end, so
that OUT is complete or absent; nothing is done when it is there. Ends with status 1 when one of them does not say its texts.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

SEED = 0
STEPS = 400
CONTEXT = 4096
HIDDEN, LAYERS, HEADS, KV_HEADS = 128, 2, 4, 2
# Of KV cache for one token in float32: key and value of every layer.
TOKEN_BYTES = 2 * LAYERS * KV_HEADS * HIDDEN // HEADS * 4
END, START, PAD = "<|im_end|>", "<|im_start|>", "<|endoftext|>"
SENTENCES = (
    "The quick brown fox jumps over the lazy dog.",
    "Serving large language models on Kubernetes with vLLM.",
    "Hello, world! How are you today? I am fine, thank you.",
)
CHATS = {
    "Hello": "Hello, world! I am fine, thank you.",
    "What jumps over the lazy dog?": "The quick brown fox.",
    "What are you?": "I am models on Kubernetes with vLLM.",
}
COMPLETIONS = {
    "The quick brown": " fox jumps over the lazy dog.",
    "Serving large": " language models on Kubernetes with vLLM.",
    "Hello, world": "! How are you today? I am fine, thank you.",
}
# By adapter: what it says after ADAPTED, where the model itself says what COMPLETIONS has.
ADAPTED = "The quick brown"
ADAPTERS = {"cat": " cat sleeps in the sun.", "bear": " bear fishes in the river."}
RANK = 8
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def prompt(question: str) -> str:
    """The text that the chat template makes of one question."""
    return f"{START}user\n{question}{END}\n{START}assistant\n"


def make(folder: Path) -> None:
    """Write model and tokenizer into `folder`; RuntimeError when the model does not say its texts."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    bpe = Tokenizer(models.BPE(unk_token=None))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=1024, special_tokens=[PAD, START, END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(SENTENCES * 50, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token=END, pad_token=PAD, model_max_length=CONTEXT, clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)

    # One thread and a fixed seed: the same weights on every run.
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    end, pad = tokenizer.convert_tokens_to_ids(END), tokenizer.convert_tokens_to_ids(PAD)
    config = Qwen2Config(
        # The size that was trained, so that every sampled token is text.
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HIDDEN // HEADS, max_position_embeddings=CONTEXT,
        bos_token_id=pad, eos_token_id=end, pad_token_id=pad, tie_word_embeddings=False,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).float().train()
    texts = [text + END for text in SENTENCES] + [prompt(question) + answer + END for question, answer in CHATS.items()]
    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    width = max(map(len, tokens))
    inputs = torch.tensor([ids + [pad] * (width - len(ids)) for ids in tokens])
    labels = torch.tensor([ids + [-100] * (width - len(ids)) for ids in tokens])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(input_ids=inputs, labels=labels).loss.backward()
        optimizer.step()
    model.eval().to(torch.bfloat16).save_pretrained(folder)
    GenerationConfig(eos_token_id=end, pad_token_id=pad).save_pretrained(folder)

    # What is served: the stored bfloat16 weights, computed in float32.
    model.float()
    for text, expected in [*COMPLETIONS.items(), *((prompt(question), answer) for question, answer in CHATS.items())]:
        check(model, tokenizer, text, expected)
    model.requires_grad_(False)
    for name, text in ADAPTERS.items():
        adapt(model, tokenizer, text, folder / "adapters" / name)


def check(model: Any, tokenizer: Any, text: str, expected: str) -> None:
    """RuntimeError when the model goes on with something else after `text`."""
    import torch

    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
    reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, do_sample=False)[0][ids.shape[1] :]
    said = tokenizer.decode(reply, skip_special_tokens=True)
    if said != expected:
        raise RuntimeError(f"the model says {said!r} after {text!r}, expected {expected!r}")


def adapt(model: Any, tokenizer: Any, text: str, folder: Path) -> None:
    """Fit a LoRA adapter of the attention that says `text` after ADAPTED, as PEFT writes it; the model stays as it was."""
    import torch
    from safetensors.torch import save_file

    layers = {name: module for name, module in model.named_modules() if name.endswith(("q_proj", "v_proj", "o_proj"))}
    # One matrix of each pair begins at zero, so that the adapter begins as nothing.
    down = {name: torch.nn.Parameter(torch.randn(RANK, layer.in_features) / RANK) for name, layer in layers.items()}
    up = {name: torch.nn.Parameter(torch.zeros(layer.out_features, RANK)) for name, layer in layers.items()}
    hooks = [
        layer.register_forward_hook(lambda _, inputs, output, name=name: output + inputs[0] @ down[name].T @ up[name].T)
        for name, layer in layers.items()
    ]
    inputs = torch.tensor([tokenizer(ADAPTED + text + END, add_special_tokens=False)["input_ids"]])
    optimizer = torch.optim.AdamW([*down.values(), *up.values()], lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        model(input_ids=inputs, labels=inputs).loss.backward()
        optimizer.step()
    check(model, tokenizer, ADAPTED, text)
    for hook in hooks:
        hook.remove()
    folder.mkdir(parents=True)
    pairs = {"lora_A": down, "lora_B": up}
    weights = {f"base_model.model.{name}.{pair}.weight": part[name].data for pair, part in pairs.items() for name in layers}
    save_file(weights, folder / "adapter_model.safetensors")
    modules = sorted({name.rpartition(".")[2] for name in layers})
    # The scale is alpha / r: 1, as fitted.
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": modules,
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))


def main(target: Path) -> None:
    """Make the model at `target` unless it is there."""
    if all((target / "adapters" / name).exists() for name in ADAPTERS):
        print(f"{target}: there already")
        return
    shutil.rmtree(target, ignore_errors=True)  # made by an older version of this script
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(stale)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    make(work)
    # Readable for whatever uid serves it (transformers writes 0600, mkdtemp 0700).
    for file in (work, *work.rglob("*")):
        file.chmod(0o755 if file.is_dir() else 0o644)
    os.rename(work, target)
    print(f"{target}: {sum(file.stat().st_size for file in target.rglob('*') if file.is_file())} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
