"""Make a tiny language model whose answers a test can assert word for word. Runs inside the engine image, by itself:

    python3 make_model.py OUT

A Qwen2 with 387 thousand parameters, its tokenizer and chat template, made without network and fitted for some seconds to six
texts. Written beside OUT and renamed at the end, so OUT is complete or absent; nothing is done when it is there. Ends with
status 1 when the model does not say its texts.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

SEED = 0
STEPS = 400
CONTEXT = 4096
HIDDEN = 128
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
        vocab_size=len(tokenizer), hidden_size=HIDDEN, intermediate_size=2 * HIDDEN, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, head_dim=HIDDEN // 4, max_position_embeddings=CONTEXT,
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
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        reply = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=48, do_sample=False)[0][ids.shape[1] :]
        said = tokenizer.decode(reply, skip_special_tokens=True)
        if said != expected:
            raise RuntimeError(f"the model says {said!r} after {text!r}, expected {expected!r}")


def main(target: Path) -> None:
    """Make the model at `target` unless it is there."""
    if (target / "config.json").exists():
        print(f"{target}: there already")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}-*"):
        shutil.rmtree(stale)
    work = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    make(work)
    # Readable for whatever uid serves it (transformers writes 0600, mkdtemp 0700).
    for file in work.iterdir():
        file.chmod(0o644)
    work.chmod(0o755)
    os.rename(work, target)
    print(f"{target}: {sum(file.stat().st_size for file in target.iterdir())} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
