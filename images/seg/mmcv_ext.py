"""Stands in for the compiled operators of mmcv (installed as `mmcv/_ext.py`).

mmsegmentation 0.17.0 imports `mmcv.ops` unconditionally, and `mmcv.ops` looks every operator up in
`mmcv._ext` while it is imported. None of the guide's three models calls one, so mmcv is built
without them (`MMCV_WITH_OPS=0`), and this module answers the look-ups: with functions that raise
when they are called. An operator that was needed after all thus ends the run, it never computes
something else.
"""


def get_compiler_version():
    """Answers the environment report at the start of a log, which asks for it in every run."""
    return "none (mmcv was built without operators)"


def get_compiling_cuda_version():
    """Answers the environment report, as above."""
    return "none (mmcv was built without operators)"


def __getattr__(name):
    # Python asks for names such as `__path__` to learn what kind of module this is.
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*_arguments, **_options):
        raise NotImplementedError(f"mmcv was built without operators, `{name}` is not there")

    return missing
