"""The commands of `lswag-fast`, one per file."""
