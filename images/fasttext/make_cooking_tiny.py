#!/usr/bin/env python3
"""Writes `cooking-tiny.zip`: made-up questions in the layout of the tutorial's `cooking.stackexchange.txt`.

A line has labels and a question. What a question asks about follows its labels, so there is something
to learn; the words are few and made up here. Everything comes from a counter, so that the same file comes
out everywhere, stored without compression.

    python3 make_cooking_tiny.py cooking-tiny.zip
"""

import sys
import zipfile

TOPICS = {
    "baking": ["bread", "dough", "oven", "cake"],
    "knives": ["knife", "blade", "sharpening", "steel"],
    "sauce": ["gravy", "starch", "butter", "whisk"],
    "tea": ["leaves", "kettle", "steeping", "cup"],
}
FORMS = [
    "How long should I keep the {0} near the {1}?",
    "Is {0} without {1} any good?",
    "What does {1} do to my {0}?",
    "Can {0} replace {1}, or is that unsafe?",
    "Why is the {0} ruined after {1}?",
]


def lines(count=600):
    names = sorted(TOPICS)
    for number in range(count):
        label = names[number % len(names)]
        words = TOPICS[label]
        first, second = words[number // 4 % 4], words[(number // 4 + 1 + number // 16 % 3) % 4]
        further = f"__label__{first} " if number % 3 == 0 else ""
        yield f"__label__{label} {further}{FORMS[number % 5].format(first, second)}\n"


def main(path):
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("cooking.stackexchange.txt", (2026, 1, 1, 0, 0, 0))
        archive.writestr(entry, "".join(lines()))


if __name__ == "__main__":
    main(sys.argv[1])
