"""crosscheck: a training step, computed by hand, held against the frameworks, tensor by tensor.

>>> import crosscheck as cc
>>> case = cc.load_case("article")
>>> trace = cc.record(case)
>>> print(trace["0/forward/o.softmax"].round(8))
[[0.29228018 0.03001013 0.67770969]]
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import cases
    from .adapters import ADAPTERS as ADAPTERS
    from .adapters import Crashed as Crashed
    from .adapters import NotInstalled as NotInstalled
    from .adapters import Unsupported as Unsupported
    from .adapters.modules import tap as tap
    from .api import Agreement as Agreement
    from .api import Lesson as Lesson
    from .api import check as check
    from .api import check_layer as check_layer
    from .api import compare as compare
    from .api import explain as explain
    from .api import load_case as load_case
    from .api import load_trace as load_trace
    from .api import record as record
    from .api import record_module as record_module
    from .api import save_case as save_case
    from .api import save_trace as save_trace
    from .api import settle_map as settle_map
    from .api import suggest_map as suggest_map
    from .comparison.agreement import Disagreement as Disagreement
    from .comparison.agreement import SubjectAgreement as SubjectAgreement
    from .comparison.agreement import TensorAgreement as TensorAgreement
    from .comparison.tolerance import Computed as Computed
    from .comparison.tolerance import EpsilonTable as EpsilonTable
    from .comparison.tolerance import Tolerance as Tolerance
    from .isolation import Isolated as Isolated
    from .isolation import Limits as Limits
    from .isolation import TimedOut as TimedOut
    from .porting.maps import Map as Map
    from .reference import *

__version__ = "0.1.0"

# Public names and the module that each comes from; what stands nowhere here is the reference's: cases, layers, losses,
# optimizers. A name is imported when it is first used, so that the command line starts without what it does not need.
_HOMES = {
    "adapters": "ADAPTERS Crashed NotInstalled Unsupported",
    "adapters.modules": "tap",
    "api": "Agreement Lesson Trace check check_layer compare explain load_case load_trace record record_module "
    "save_case save_trace settle_map suggest_map",
    "comparison.agreement": "Disagreement SubjectAgreement TensorAgreement",
    "comparison.tolerance": "Computed EpsilonTable Tolerance",
    "isolation": "Isolated Limits TimedOut",
    "porting.maps": "Map",
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    # By the package's own name: pytest imports this file by that of the checkout's folder, whatever that is.
    if name == "__all__":
        return sorted({*_HOME_OF, *import_module("crosscheck.reference").__all__})
    if name == "cases":
        return import_module("crosscheck.cases")
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = import_module(f"crosscheck.{_HOME_OF.get(name, 'reference')}")
    if name not in _HOME_OF and name not in home.__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(home, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    # What is listed must not be imported for it: the reference's own names are there once it has been used.
    used = sys.modules.get(f"{__name__}.reference")
    return sorted({*globals(), *_HOME_OF, *(used.__all__ if used else ())})
