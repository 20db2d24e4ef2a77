"""Lets FairMOT train and track pictures of 288x160 in place of 1088x608, with a seed.

The guide's scripts have the size written into them, and a step at that size takes a processor a
minute. The network has no layer that depends on it. They set no seed, so no two runs would be alike.
Python imports a module of this name at start-up; without REPRO_SMALL_PICTURES=1 it does nothing.

Each patch is applied right after the module it changes was imported.
"""

import importlib.abc
import importlib.util
import os
import random
import sys

SIZE = (288, 160)


def patch_training(jde_load):
    """Sets the seeds and makes the loader's pictures small, whatever size it is asked for."""
    import mindspore

    seed = int(os.environ.get("REPRO_SEED", "0"))
    random.seed(seed)
    mindspore.set_seed(seed)
    initialise = jde_load.JDELoad.__init__

    def initialise_small(self, _size=SIZE, **options):
        initialise(self, SIZE, **options)

    jde_load.JDELoad.__init__ = initialise_small


def patch_parallel(context):
    """Lets processes that have met go on without exchanging gradients, for which MindSpore has no code on a CPU."""
    set_parallel = context.set_auto_parallel_context

    def set_without_exchange(**options):
        if context.get_context("device_target") == "CPU":
            options = {"device_num": options["device_num"]}
        set_parallel(**options)

    context.set_auto_parallel_context = set_without_exchange


def patch_evaluation(load_images):
    """Makes the frames of a sequence small, whatever size they are asked for in."""
    initialise = load_images.LoadImages.__init__

    def initialise_small(self, path, start_idx=0, _img_size=SIZE):
        initialise(self, path, start_idx, SIZE)

    load_images.LoadImages.__init__ = initialise_small


PATCHES = {
    "mindspore.context": patch_parallel,
    "src.data.transforms.jde_load": patch_training,
    "src.utils.post_process.eval_utils.load_images": patch_evaluation,
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
            patch(module)

        spec.loader.exec_module = run_and_patch
        return spec


if os.environ.get("REPRO_SMALL_PICTURES") == "1":
    sys.meta_path.insert(0, PatchAfterImport())
