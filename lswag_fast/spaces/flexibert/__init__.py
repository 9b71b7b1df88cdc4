"""The FlexiBERT space of encoders of text."""
