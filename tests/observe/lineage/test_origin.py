"""Origins of tensors: what comes of two, what lies behind a weight, and which gate scales what."""

from __future__ import annotations

from lswag_fast.observe.lineage.origin import CONSTANT, FAR, FEATURES, Gate, Origin


def test_the_nearer_activations_count_and_equally_near_ones_both() -> None:
    a, b, c = Origin(0, 0b0010, 0b0001), Origin(1, 0b1000, 0b0100), Origin(0, 0b10000, 0b0001)
    assert a.joined(b) == b.joined(a) == Origin(0, 0b0010, 0b0101)
    assert a.joined(c) == Origin(0, 0b10010, 0b0001)
    assert a.joined(FEATURES) == a


def test_a_weight_puts_one_more_in_between_and_no_activation_stays_far() -> None:
    assert Origin(0, 0b10, 0b1, Gate.BOUNDED).behind(2) == Origin(1, 0b10, 0b101)
    assert FEATURES.behind(0).behind(1) == Origin(FAR, 0, 0b11)


def test_a_gate_scales_what_it_was_made_from_by_weights() -> None:
    features, gate = Origin(0, 0b10, 0b1), Origin(1, 0b10, 0b1101, Gate.BOUNDED)
    assert gate.scales(features)
    assert not features.scales(gate)
    assert not gate._replace(gate=Gate.UNBOUNDED).scales(features)
    assert not gate.scales(gate)
    assert not gate.scales(Origin(0, 0b10, 0b10))


def test_what_is_constant_is_told_by_identity() -> None:
    assert CONSTANT is not FEATURES
