#!/usr/bin/env python3
"""Makes a language model that knows nothing but runs anywhere: `tiny-model.py TOKENIZER.json FOLDER`.

Writes a Hugging Face folder (FOLDER/config.json and others) and FOLDER/tiny.gguf, both with the given tokenizer, so
that servers and tokpace count the same tokens. The weights are random. Only whole words can win in the output layer:
an answer then has one readable word a token, and never ends by itself.
"""

import json
import re
import struct
import sys
from pathlib import Path

import gguf
import numpy as np

LAYERS, WIDTH, HEADS, KV_HEADS, HEAD_WIDTH, INNER = 3, 256, 4, 2, 64, 512
CONTEXT, EPSILON, ROPE = 4096, 1e-5, 10000.0
MARKERS = ["<|end|>", "<|user|>", "<|assistant|>"]
TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)

# What each tensor is called here, in a Hugging Face file and in a GGUF file.
OUTER = {
    "embedding": ("model.embed_tokens.weight", "token_embd.weight"),
    "norm": ("model.norm.weight", "output_norm.weight"),
    "head": ("lm_head.weight", "output.weight"),
}
INNER_NAMES = {
    "before": ("input_layernorm", "attn_norm", None),
    "query": ("self_attn.q_proj", "attn_q", (HEADS * HEAD_WIDTH, WIDTH)),
    "key": ("self_attn.k_proj", "attn_k", (KV_HEADS * HEAD_WIDTH, WIDTH)),
    "value": ("self_attn.v_proj", "attn_v", (KV_HEADS * HEAD_WIDTH, WIDTH)),
    "mix": ("self_attn.o_proj", "attn_output", (WIDTH, HEADS * HEAD_WIDTH)),
    "between": ("post_attention_layernorm", "ffn_norm", None),
    "gate": ("mlp.gate_proj", "ffn_gate", (INNER, WIDTH)),
    "up": ("mlp.up_proj", "ffn_up", (INNER, WIDTH)),
    "down": ("mlp.down_proj", "ffn_down", (WIDTH, INNER)),
}


def weights(tokens):
    """(name in a Hugging Face file, name in a GGUF file, values) of every tensor."""
    random = np.random.default_rng(1)

    def normal(rows, columns, scale):
        return (random.standard_normal((rows, columns)) * scale / np.sqrt(columns)).astype(np.float32)

    head = normal(len(tokens), WIDTH, 6.0)
    head[[re.fullmatch("Ġ[A-Za-z]+", token) is None for token in tokens]] = 0
    outer = {"embedding": normal(len(tokens), WIDTH, 8.0), "norm": np.ones(WIDTH, np.float32), "head": head}
    yield from ((*OUTER[name], values) for name, values in outer.items())
    for layer in range(LAYERS):
        for theirs, short, shape in INNER_NAMES.values():
            values = normal(*shape, 1.0) if shape else np.ones(WIDTH, np.float32)
            yield f"model.layers.{layer}.{theirs}.weight", f"blk.{layer}.{short}.weight", values


def hugging_face(folder, tokenizer, tensors, end):
    header, at = {}, 0
    for name, _, values in tensors:
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, values in tensors:
            file.write(values.tobytes())
    files = {
        "tokenizer.json": tokenizer,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": MARKERS[0],
            "pad_token": MARKERS[0],
            "model_max_length": CONTEXT,
            "chat_template": TEMPLATE,
        },
        "generation_config.json": {"eos_token_id": end, "pad_token_id": end},
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": WIDTH,
            "intermediate_size": INNER,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": KV_HEADS,
            "head_dim": HEAD_WIDTH,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": EPSILON,
            "rope_theta": ROPE,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            "vocab_size": end + len(MARKERS),
            "bos_token_id": end,
            "eos_token_id": end,
            "pad_token_id": end,
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value, ensure_ascii=False))


def one_file(path, tokenizer, tokens, tensors, end):
    file = gguf.GGUFWriter(path, "llama")
    file.add_name("tiny")
    file.add_file_type(gguf.LlamaFileType.ALL_F32)
    file.add_vocab_size(len(tokens))
    file.add_context_length(CONTEXT)
    file.add_block_count(LAYERS)
    file.add_embedding_length(WIDTH)
    file.add_feed_forward_length(INNER)
    file.add_head_count(HEADS)
    file.add_head_count_kv(KV_HEADS)
    file.add_key_length(HEAD_WIDTH)
    file.add_value_length(HEAD_WIDTH)
    file.add_rope_dimension_count(HEAD_WIDTH)
    file.add_rope_freq_base(ROPE)
    file.add_layer_norm_rms_eps(EPSILON)
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("gpt-2")
    file.add_token_list(tokens)
    kinds = [gguf.TokenType.CONTROL if token in MARKERS else gguf.TokenType.NORMAL for token in tokens]
    file.add_token_types(kinds)
    merges = tokenizer["model"]["merges"]
    file.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    file.add_bos_token_id(end)
    file.add_eos_token_id(end)
    file.add_pad_token_id(end)
    file.add_add_bos_token(False)
    file.add_chat_template(TEMPLATE)
    for _, name, values in tensors:
        file.add_tensor(name, values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()


def main():
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = json.loads(source.read_text())
    ids = tokenizer["model"]["vocab"]
    tokens = sorted(ids, key=ids.get)
    end = len(tokens)
    for number, marker in enumerate(MARKERS, end):
        plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        tokenizer["added_tokens"].append({"id": number, "content": marker, **plain})
    tokens += MARKERS
    tensors = list(weights(tokens))
    hugging_face(folder, tokenizer, tensors, end)
    one_file(folder / "tiny.gguf", tokenizer, tokens, tensors, end)
    print(f"{folder}: {sum(values.size for _, _, values in tensors) / 1e6:.1f} million weights, {len(tokens)} tokens")


if __name__ == "__main__":
    main()
