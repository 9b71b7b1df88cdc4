"""Scores and studies recorded once, which a change of structure must reproduce to the last bit."""
