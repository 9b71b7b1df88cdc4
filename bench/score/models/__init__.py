"""Public networks, scored by name with random weights: what of them is observed, and what a score of them costs.

Importing this needs none of their libraries; building a network does.
"""

from bench.score.models import from_timm, from_torchvision, from_transformers
from bench.score.models.registry import PUBLIC_MODELS, PublicModel

__all__ = ["PUBLIC_MODELS", "PublicModel", "from_timm", "from_torchvision", "from_transformers"]
