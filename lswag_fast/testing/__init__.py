"""Contract tests that others run on a storage, a sampler or a space of their own, with pytest.

Subclass the contract in a test module and say how one of yours is made:

    from lswag_fast.testing import StorageContract

    class TestMyStorage(StorageContract):
        def make_storage(self, place):
            return MyStorage(place / "study.db")
"""

from lswag_fast.testing.samplers import SamplerContract
from lswag_fast.testing.spaces import SpaceContract
from lswag_fast.testing.storages import StorageContract

__all__ = ["SamplerContract", "SpaceContract", "StorageContract"]
