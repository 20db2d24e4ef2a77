"""Makes stand-ins for shared libraries that a machine without a GPU driver does not have.

MindSpore's extension module is linked to the driver's library, so that it cannot even be imported
without one. A stand-in defines every function that the module looks for there, and each of them
says that there is no device. What those functions are is read from the module itself.

    stub_libraries.py PACKAGE LIBRARY...     makes ./LIBRARY for the modules below the folder PACKAGE
"""

import pathlib
import re
import subprocess
import sys

# CUDA_ERROR_NO_DEVICE: no caller takes it for success.
NO_DEVICE = 100


def undefined_symbols(package):
    """Returns what the shared objects below a folder look for elsewhere: pairs of name and version."""
    symbols = set()
    for module in sorted(package.rglob("*.so*")):
        command = ["nm", "--dynamic", "--undefined-only", "--with-symbol-versions", str(module)]
        output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        for line in output.splitlines():
            name, _, version = line.split()[-1].partition("@")
            symbols.add((name, version.lstrip("@")))
    return symbols


def wanted_of(library, symbols):
    """Returns the names that a library has to define, and the version they are asked for under.

    NVIDIA's libraries give their symbols a version that is the library's own name. Only the driver's
    has none; its functions begin with `cu` and a capital letter.
    """
    versioned = sorted(name for name, version in symbols if version == library)
    if versioned:
        return versioned, library
    plain = sorted(
        name for name, version in symbols if not version and re.fullmatch("cu[A-Z][A-Za-z0-9_]*", name)
    )
    return plain, ""


def make(library, names, version):
    """Compiles a library whose functions all say that there is no device."""
    source = "".join(f"int {name}(void) {{ return {NO_DEVICE}; }}\n" for name in names)
    options = ["-shared", "-fPIC", "-nostdlib", "-O1", f"-Wl,-soname,{library}", "-Wl,--build-id=none"]
    if version:
        script = pathlib.Path(f"{library}.map")
        script.write_text(f"{version} {{ global: *; }};\n")
        options.append(f"-Wl,--version-script={script}")
    command = ["gcc", *options, "-o", library, "-x", "c", "-"]
    subprocess.run(command, check=True, input=source, text=True)


def main(package, *libraries):
    symbols = undefined_symbols(pathlib.Path(package))
    for library in libraries:
        names, version = wanted_of(library, symbols)
        if not names:
            sys.exit(f"nothing below {package} asks for a function of {library}")
        print(f"{library}: {', '.join(names)}")
        make(library, names, version)


if __name__ == "__main__":
    main(*sys.argv[1:])
