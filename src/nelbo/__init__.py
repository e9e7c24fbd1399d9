"""Deep latent variable models with learned recognition models.

The public names below are imported when they are first used, so that `import nelbo` costs nothing.
"""

from typing import TYPE_CHECKING

from nelbo._lazy import lazy
from nelbo._version import __version__ as __version__

if TYPE_CHECKING:
    from nelbo.bayes import WithGlobals as WithGlobals
    from nelbo.bayes import shared_parameters as shared_parameters
    from nelbo.core import Example as Example
    from nelbo.core import InputError as InputError
    from nelbo.core import NotFiniteError as NotFiniteError
    from nelbo.core import Registry as Registry
    from nelbo.core import using as using
    from nelbo.data import Data as Data
    from nelbo.data import Source as Source
    from nelbo.data import load as load
    from nelbo.data import source as source
    from nelbo.evaluation import active_units as active_units
    from nelbo.evaluation import elbo as elbo
    from nelbo.evaluation import importance_bound as importance_bound
    from nelbo.models import Model as Model
    from nelbo.models import classification as classification
    from nelbo.models import linear as linear
    from nelbo.models import load_model as load_model
    from nelbo.models import regression as regression
    from nelbo.models import save_model as save_model
    from nelbo.models import vae as vae
    from nelbo.objectives import Sgvb as Sgvb
    from nelbo.report import draw_figures as draw_figures
    from nelbo.report import write_report as write_report
    from nelbo.runs import Experiment as Experiment
    from nelbo.runs import execute as execute
    from nelbo.runs import open_run as open_run
    from nelbo.tasks import embed as embed
    from nelbo.tasks import manifold as manifold
    from nelbo.tasks import predict as predict
    from nelbo.tasks import reconstruct as reconstruct
    from nelbo.tasks import sample as sample
    from nelbo.training import Checkpoints as Checkpoints
    from nelbo.training import Progress as Progress
    from nelbo.training import fit as fit
    from nelbo.training import optimizer as optimizer
    from nelbo.training import resume_from as resume_from

_ROOM_OF = {
    "Checkpoints": "training",
    "Data": "data",
    "Example": "core",
    "Experiment": "runs",
    "InputError": "core",
    "Model": "models",
    "NotFiniteError": "core",
    "Progress": "training",
    "Registry": "core",
    "Sgvb": "objectives",
    "Source": "data",
    "WithGlobals": "bayes",
    "active_units": "evaluation",
    "classification": "models",
    "draw_figures": "report",
    "elbo": "evaluation",
    "embed": "tasks",
    "execute": "runs",
    "fit": "training",
    "importance_bound": "evaluation",
    "linear": "models",
    "load": "data",
    "load_model": "models",
    "manifold": "tasks",
    "open_run": "runs",
    "optimizer": "training",
    "predict": "tasks",
    "reconstruct": "tasks",
    "regression": "models",
    "resume_from": "training",
    "sample": "tasks",
    "save_model": "models",
    "shared_parameters": "bayes",
    "source": "data",
    "using": "core",
    "vae": "models",
    "write_report": "report",
}

__all__ = ["__version__", *_ROOM_OF]  # noqa: PLE0604 (all are strings)


__getattr__, __dir__ = lazy(__name__, _ROOM_OF)
