"""What several passes share: preserving the model, losses, features, checks."""
