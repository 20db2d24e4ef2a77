"""Lets the segmentation benchmark, written for CUDA, train on a machine without a GPU.

Python imports a module of this name at start-up if it finds one. With the folder of this file on
PYTHONPATH it is found before Debian's own, which only looks for Ubuntu's crash reporter and is not
missed. Without REPRO_CPU_SHIM=1 it does nothing, and where torch sees a GPU neither.

Each patch is applied right after the module it changes was imported, so that a Python process
that never imports torch pays nothing. The patched code is that of torch 1.9.1 and mmcv 1.3.13.
"""

import importlib.abc
import importlib.util
import os
import sys


def patch_torch(torch):
    """Makes the unconditional moves to a GPU, `model.cuda()` and the like, do nothing."""

    def stay(self, *_arguments, **_options):
        return self

    torch.Tensor.cuda = stay
    torch.nn.Module.cuda = stay
    torch.cuda.set_device = lambda _device: None
    torch.cuda.synchronize = lambda _device=None: None

    if data_parallel():
        # mmcv picks the device `rank % device_count()`: with none it would divide by zero.
        torch.cuda.device_count = lambda: 1
        torch.cuda.current_device = lambda: 0
        # SyncBN exists for GPUs only: here each process normalises by its own batch, as BN does.
        torch.nn.SyncBatchNorm.forward = torch.nn.BatchNorm2d.forward
        wrapper = torch.nn.parallel.DistributedDataParallel
        wrapper._passing_sync_batchnorm_handle = lambda *_arguments: None


def patch_scatter(functions):
    """Keeps the batch as it is when mmcv hands it to a model on the CPU.

    mmcv 1.3.13 adds a dimension there, and a convolution then gets five dimensions where it
    expects four. What it does for GPUs is left alone.
    """
    forward_to_gpus = functions.Scatter.forward

    def forward(target_gpus, batch):
        if target_gpus != [-1]:
            return forward_to_gpus(target_gpus, batch)
        return tuple(batch) if isinstance(batch, list) else (batch,)

    functions.Scatter.forward = staticmethod(forward)


def patch_distributed(distributed):
    """Makes mmcv's data-parallel wrapper train on the CPU, one process beside the other.

    It names a GPU, which torch refuses for parameters in main memory, and it unpacks a batch only
    if it has one.
    """
    wrapper = distributed.MMDistributedDataParallel
    train_step = wrapper.train_step

    def init_without_devices(self, module, device_ids=None, **options):
        super(wrapper, self).__init__(module, device_ids=None, **options)

    def train_step_of_unpacked(self, *inputs, **options):
        inputs, options = self.scatter(inputs, options, [-1])
        return train_step(self, *inputs[0], **options[0])

    wrapper.__init__ = init_without_devices
    wrapper.train_step = train_step_of_unpacked


def data_parallel():
    """Tells whether this process is one of several started by torch's launcher."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


PATCHES = {
    "torch": patch_torch,
    "mmcv.parallel._functions": patch_scatter,
    "mmcv.parallel.distributed": patch_distributed,
}


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
            if not sys.modules["torch"].cuda.is_available():
                patch(module)

        spec.loader.exec_module = run_and_patch
        return spec


if os.environ.get("REPRO_CPU_SHIM") == "1":
    sys.meta_path.insert(0, PatchAfterImport())
