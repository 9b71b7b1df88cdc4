"""What a person sees of a study: figures (matplotlib) and one self-contained page (HTML)."""
