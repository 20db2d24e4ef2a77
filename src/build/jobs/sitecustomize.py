"""Lists folders in the order of their names; file systems have orders of their own."""

import functools
import os

_listdir, _scandir = os.listdir, os.scandir


class _Sorted:
    """The entries of a folder, used as the iterator of `os.scandir` is used."""

    def __init__(self, path):
        with _scandir(path) as entries:
            self._entries = iter(sorted(entries, key=lambda entry: entry.name))

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        self._entries = iter(())


def _sorted_listdir(path="."):
    return sorted(_listdir(path))


def _sorted_scandir(path="."):
    return _Sorted(path)


# `pathlib` keeps both as attributes of a class, where a plain function would become a method.
os.listdir = functools.partial(_sorted_listdir)
os.scandir = functools.partial(_sorted_scandir)
