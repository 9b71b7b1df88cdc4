"""From a score to an accuracy: networks with inherited weights, and trained ones, on images that are split."""
