"""The table of whole scores and the sentences below it, from made-up prices."""

from __future__ import annotations

from bench.score.table import markdown, measured_on

PRICES = {
    "plain": 1.0, "score": 0.5, "score_fast": 0.25, "loop": 3.0, "vmap": 2.0, "unique": 1.0, "loop_fast": 1.5,
    "vmap_fast": 1.75, "published_zico": 2.5, "published_swap": 4.0, "same_zico": 1.25,
}  # fmt: skip
MACHINE = {"cpu": "Some CPU", "threads": "2", "isa": "avx2", "torch": "2.9", "date": "2026-01-02"}


def rows(methods: list[str], network: str = "resnet50") -> list[dict[str, str]]:
    times = {"batch": "32", "n": "5", "median_s": "1.5", "peak_rss_mb": "10"}
    return [{"network": network, "method": m, "ratio": str(PRICES[m]), **times, **MACHINE} for m in methods]


def test_the_score_is_compared_with_what_gives_as_much() -> None:
    text = markdown(rows(list(PRICES)))
    assert "| ResNet-50, batch 32 |" in text and text.endswith(
        "Measured on: Some CPU, 2 threads, avx2, torch 2.9, 2026-01-02."
    )
    assert "Same numbers by the fastest peer (vmap + unique): 3.00 x plain, 6.0 x the time of `score` (exact)." in text
    assert "Gradients of 4 samples by the fastest peer (loop + unique): 2.50 x plain, 10.0 x the time of" in text
    assert '(ZiCo + SWAP): 6.50 x plain, 26.0 x the time of `score(fidelity="fast")`.' in text
    assert "| ZiCo by the steps of its script, two batches | 1.5 | 2.50 | 10 | 5 |" in text


def test_each_machine_is_named_with_its_days() -> None:
    day, later = {**MACHINE, "date": "2026-01-03"}, {**MACHINE, "cpu": "Another", "date": "2026-01-09"}
    assert measured_on([MACHINE, day, later]) == (
        "Measured on: Some CPU, 2 threads, avx2, torch 2.9, 2026-01-02 to 2026-01-03; "
        "Another, 2 threads, avx2, torch 2.9, 2026-01-09."
    )


def test_what_was_not_measured_is_not_compared() -> None:
    text = markdown(rows(["plain", "score", "loop"]) + rows(["score_fast", "loop_fast", "unique"], "autoformer_s"))
    assert "Same numbers" not in text and "ZiCo" not in text
    assert text.index("Autoformer-S, batch 32") < text.index("ResNet-50") and "(loop + unique): 2.50 x plain" in text
