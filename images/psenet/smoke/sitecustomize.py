"""Lets PSENet, written for CUDA, train on a machine without a GPU.

Python imports a module of this name at start-up if it finds one. With the folder of this file on
PYTHONPATH it is found before Debian's own, which only looks for Ubuntu's crash reporter and is not
missed. Without REPRO_CPU_SHIM=1 it does nothing, and where torch sees a GPU neither.

torch is patched right after it was imported, so that a Python process that never imports it pays
nothing. The patched code is that of torch 1.7.1.
"""

import importlib.abc
import importlib.util
import os
import sys


def patch_torch(torch):
    """Makes the unconditional moves to a GPU, `model.cuda()` and the like, do nothing.

    Without devices `torch.nn.DataParallel` calls the module it wraps as it is.
    """

    def stay(self, *_arguments, **_options):
        return self

    torch.Tensor.cuda = stay
    torch.nn.Module.cuda = stay
    torch.cuda.synchronize = lambda _device=None: None


class PatchAfterImport(importlib.abc.MetaPathFinder):
    """Finds torch as Python would, and patches it when it has run."""

    def find_spec(self, name, _path=None, _target=None):
        if name != "torch":
            return None
        # Taken out first: the search below asks every finder again.
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None:
            return None
        run = spec.loader.exec_module

        def run_and_patch(module):
            run(module)
            if not module.cuda.is_available():
                patch_torch(module)

        spec.loader.exec_module = run_and_patch
        return spec


if os.environ.get("REPRO_CPU_SHIM") == "1":
    sys.meta_path.insert(0, PatchAfterImport())
