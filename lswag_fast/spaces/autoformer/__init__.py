"""The AutoFormer spaces of vision transformers."""
