"""Writes the names of all held-out pictures, one a line: python -m resident.held_out TRAIN_DIR OUT.txt"""

import sys
from pathlib import Path

import cv2
import numpy as np

from .split import is_held_out, signature


def main() -> None:
    """Command line."""
    train, out = (Path(argument) for argument in sys.argv[1:3])
    names = []
    for folder in sorted(path for path in train.iterdir() if (path / "names.txt").exists()):
        paths = sorted((folder / "images").iterdir())
        keys = [f"{folder.name}/{path.stem}" for path in paths]
        signatures = np.stack([signature(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)) for path in paths])
        names += [key for key, is_out in zip(keys, is_held_out(keys, signatures)) if is_out]
    out.write_text("\n".join(names) + "\n")
    print(f"{len(names)} pictures held out")


if __name__ == "__main__":
    main()
