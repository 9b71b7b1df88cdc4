"""Score a text classifier of transformers: inputs by name, padding, and the classes of rows or of tokens."""

from __future__ import annotations

import argparse

import torch
import transformers

import lswag_fast

VOCABULARY = 1000


def texts(n_texts: int, length: int) -> dict[str, torch.Tensor]:
    """Return random tokens of texts of different lengths, as a tokenizer returns them; use your own here."""
    lengths = torch.randint(length // 2, length + 1, (n_texts, 1))
    mask = (torch.arange(length) < lengths).long()
    return {"input_ids": torch.randint(1, VOCABULARY, (n_texts, length)) * mask, "attention_mask": mask}


def main() -> None:
    """Score a classifier of texts and one of their tokens."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a small network and short texts")
    args = parser.parse_args()

    torch.manual_seed(0)
    width, depth, n_texts, length = (32, 2, 8, 12) if args.tiny else (256, 6, 32, 64)
    config = transformers.BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=width,
        num_hidden_layers=depth,
        num_attention_heads=4,
        intermediate_size=4 * width,
        num_labels=5,
    )
    inputs = texts(n_texts, length)

    of_texts = transformers.BertForSequenceClassification(config)
    labels = torch.randint(5, (n_texts,))
    score = lswag_fast.score(of_texts, (inputs, labels), pattern_samples=n_texts)
    print(f"texts:  {float(score):.4g}, {score.coverage:.0%} of the weights observed")

    # The tokens of a text are positions of one sample; -100 marks the padding, which counts for nothing.
    of_tokens = transformers.BertForTokenClassification(config)
    labels = torch.where(inputs["attention_mask"] > 0, torch.randint(5, (n_texts, length)), -100)
    score = lswag_fast.score(of_tokens, (inputs, labels), ignore_index=-100, pattern_samples=n_texts)
    print(f"tokens: {float(score):.4g}, {score.coverage:.0%} of the weights observed")


if __name__ == "__main__":
    main()
