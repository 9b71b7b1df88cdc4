"""Pass recipes: how to drive a borrowed model, and the per-layer numbers that result."""
