"""Writes the names of all held-out pictures, one a line: python -m resident.held_out TRAIN_DIR OUT.txt

Sets are split one by one; a held-out picture that has a look-alike in the trained part of another set is left out of
the list, so that it is neither trained on nor measured with.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from .split import ALIKE, is_held_out, signature


def main() -> None:
    """Command line."""
    train, out = (Path(argument) for argument in sys.argv[1:3])
    names, held_out, signatures = [], [], []
    for folder in sorted(path for path in train.iterdir() if (path / "names.txt").exists()):
        paths = sorted((folder / "images").iterdir())
        keys = [f"{folder.name}/{path.stem}" for path in paths]
        rows = np.stack([signature(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)) for path in paths])
        names += keys
        held_out += list(is_held_out(keys, rows))
        signatures.append(rows)
    every, is_out = np.concatenate(signatures), np.array(held_out)
    has_twin = (every @ every[~is_out].T).max(1) > ALIKE
    names = [name for name, out_of_training, twin in zip(names, is_out, has_twin) if out_of_training and not twin]
    out.write_text("\n".join(names) + "\n")
    print(f"{len(names)} pictures held out")


if __name__ == "__main__":
    main()
