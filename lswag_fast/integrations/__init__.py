"""What works with other libraries: networks by the names that timm, torchvision and transformers give them, Optuna, and
the surrogates of NAS-Bench-301.

None of these libraries is imported before something of it is used.
"""

from lswag_fast.integrations.nb301 import Nb301Surrogate, load_nb301
from lswag_fast.integrations.network_inputs import ImageInputs, NamedNetwork, TokenInputs
from lswag_fast.integrations.networks import is_named, named_network
from lswag_fast.integrations.optuna_objective import OptunaObjective
from lswag_fast.integrations.optuna_sampler import OptunaSampler
from lswag_fast.integrations.optuna_trials import export_to_optuna

__all__ = [
    "ImageInputs",
    "NamedNetwork",
    "Nb301Surrogate",
    "OptunaObjective",
    "OptunaSampler",
    "TokenInputs",
    "export_to_optuna",
    "is_named",
    "load_nb301",
    "named_network",
]
