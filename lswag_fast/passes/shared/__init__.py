"""What several passes share: lending a model, losses, features, checks."""
