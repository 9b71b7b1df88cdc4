"""What the commands that train share: their options, and their progress."""
