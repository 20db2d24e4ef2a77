"""The commands of fastText's text classification tutorial, one after the other.

    python3 tutorial.py FILE TRAIN VALID raw|plain THREADS [-lr X] [-epoch N] [-wordNgrams N]

Splits FILE as the guide does with `head -n TRAIN` and `tail -n VALID` (after its `sed` and `tr` if
`plain`), trains as `fasttext supervised` does with the options, and prints what `fasttext test` prints.
"""

import re
import sys

import fasttext

LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def prepared(line, form):
    """A line as the guide's `sed` and `tr` leave it; C.UTF-8 lowers only what ASCII has."""
    return re.sub(r"([.\\!?,'/()])", r" \1 ", line).translate(LOWER) if form == "plain" else line


def main(source, train, valid, form, threads, *options):
    with open(source, encoding="utf-8", newline="\n") as lines:
        lines = [prepared(line, form) for line in lines]
    parts = {"/tmp/cooking.train": lines[: int(train)], "/tmp/cooking.valid": lines[-int(valid) :]}
    for path, part in parts.items():
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(part)
    names = [name.lstrip("-") for name in options[::2]]
    values = [float(value) if "." in value else int(value) for value in options[1::2]]
    model = fasttext.train_supervised(
        input="/tmp/cooking.train", thread=int(threads), **dict(zip(names, values))
    )
    count, precision, recall = model.test("/tmp/cooking.valid")
    print(f"N\t{count}\nP@1\t{precision:.3g}\nR@1\t{recall:.3g}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
