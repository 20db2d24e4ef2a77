"""Lets the two trackers, written for CUDA, train on a machine without a GPU.

Python imports a module of this name at start-up if it finds one. With the folder of this file on
PYTHONPATH it is found before Debian's own, which only looks for Ubuntu's crash reporter and is not
missed. Without REPRO_CPU_SHIM=1 it does nothing, and where torch sees a GPU neither.

torch is patched right after it was imported, so that a Python process that never imports it pays
nothing. The patched code is that of torch 1.9.1.
"""

import importlib.abc
import importlib.util
import os
import sys


def patch_torch(torch):
    """Makes every move to a GPU do nothing, whether it is `.cuda()` or `.to("cuda")`."""

    def stay(self, *_arguments, **_options):
        return self

    torch.Tensor.cuda = stay
    torch.nn.Module.cuda = stay
    torch.cuda.set_device = lambda _device: None
    torch.cuda.synchronize = lambda _device=None: None
    for kind in (torch.Tensor, torch.nn.Module):
        kind.to = to_processor(kind.to, torch.device)


def to_processor(to, device_type):
    """Returns `to` with every GPU among its arguments replaced by the processor."""

    def on_processor(value):
        is_gpu = isinstance(value, (str, device_type)) and str(value).startswith("cuda")
        return device_type("cpu") if is_gpu else value

    def moved(self, *arguments, **options):
        options = {name: on_processor(value) for name, value in options.items()}
        return to(self, *map(on_processor, arguments), **options)

    return moved


class PatchAfterImport(importlib.abc.MetaPathFinder):
    """Finds torch as Python would, once, and patches it when it has run."""

    def find_spec(self, name, _path=None, _target=None):
        if name != "torch":
            return None
        # Taken out first: the search below asks every finder again, this one too.
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
