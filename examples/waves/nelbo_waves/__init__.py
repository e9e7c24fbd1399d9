"""Parts for nelbo in a package of their own: once it is installed, every command knows them.

nelbo fit skip --data waves --likelihood geometric --objective free-bits
"""

from nelbo import Registry
from nelbo.data import NamedData
from nelbo.models import Family, Likelihood
from nelbo.objectives import NamedObjective
from nelbo_waves.data import waves
from nelbo_waves.geometric import GeometricHead
from nelbo_waves.objective import free_bits
from nelbo_waves.skip import skip

REGISTRY = Registry(
    models={"skip": Family(skip)},
    likelihoods={"geometric": Likelihood("geometric", GeometricHead, ("uint8",), scale=255.0)},
    objectives={"free-bits": NamedObjective(free_bits)},
    datasets={"waves": NamedData("500 rows of eight counts from 0 to 255 that rise and fall together", waves)},
)
