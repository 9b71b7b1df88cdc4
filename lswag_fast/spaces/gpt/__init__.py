"""A small space of decoders of text."""
