"""Types of command-line options that several benchmarks have."""

import argparse


def some_of(known: tuple[str, ...]):
    def parse(words: str) -> list[str]:
        chosen = list(dict.fromkeys(words.split(",")))
        if not set(chosen) <= set(known):
            raise argparse.ArgumentTypeError(f"must be some of {','.join(known)}, with commas between them")
        return chosen

    return parse
