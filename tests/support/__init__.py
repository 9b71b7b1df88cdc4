"""What several test files need: oracles, a full snapshot of model and process, a bare observed forward pass."""
