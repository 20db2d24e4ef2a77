"""Lets PSENet, written for CUDA, train on a machine without a GPU, with its images in one order.

Python imports a module of this name at start-up if it finds one. With the folder of this file on
PYTHONPATH it is found before Debian's own, which only looks for Ubuntu's crash reporter and is not
missed. Without REPRO_CPU_SHIM=1 it does nothing, and where torch sees a GPU neither.

Each patch is applied right after the module it changes was imported, so that a Python process
that never imports torch pays nothing. The patched code is that of torch 1.7.1 and mmcv 1.3.9.
"""

import importlib.abc
import importlib.util
import os
import sys


def patch_torch(torch):
    """Makes the unconditional moves to a GPU, `model.cuda()` and the like, do nothing.

    Without devices `torch.nn.DataParallel` calls the module it wraps as it is.
    """
    if torch.cuda.is_available():
        return

    def stay(self, *_arguments, **_options):
        return self

    torch.Tensor.cuda = stay
    torch.nn.Module.cuda = stay
    torch.cuda.synchronize = lambda _device=None: None


def patch_path(path):
    """Lists the images by name (erratum `listing-order`).

    Their order decides which image has which number, and so every loss; a file system lists a
    folder in an order of its own.
    """
    scandir = path.scandir
    path.scandir = lambda *arguments, **options: iter(sorted(scandir(*arguments, **options)))


PATCHES = {"torch": patch_torch, "mmcv.utils.path": patch_path}


class PatchAfterImport(importlib.abc.MetaPathFinder):
    """Finds the modules of `PATCHES` as Python would, and patches each when it has run."""

    def find_spec(self, name, _path=None, _target=None):
        # Taken out first: the search below asks every finder again, this one too.
        patch = PATCHES.pop(name, None)
        spec = importlib.util.find_spec(name) if patch else None
        if spec is None:
            return None
        run = spec.loader.exec_module

        def run_and_patch(module):
            run(module)
            patch(module)

        spec.loader.exec_module = run_and_patch
        return spec


if os.environ.get("REPRO_CPU_SHIM") == "1":
    sys.meta_path.insert(0, PatchAfterImport())
