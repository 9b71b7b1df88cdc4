"""What works with other libraries: networks by the names that timm, torchvision and transformers give them, and Optuna.

None of these libraries is imported before something of it is used.
"""

from lswag_fast.integrations.network_inputs import ImageInputs, NamedNetwork, TokenInputs
from lswag_fast.integrations.networks import is_named, named_network

__all__ = ["ImageInputs", "NamedNetwork", "TokenInputs", "is_named", "named_network"]
