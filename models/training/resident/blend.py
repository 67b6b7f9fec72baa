"""The weights between two checkpoints of one training, its beginning and its end: what was learnt last counts in part.

    python -m resident.blend BEGIN.pt END.pt OUT.pt [--share 0.7]

A short training on top of a long one forgets some of what the long one knew; the mean of both often finds more than
either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Scores are to be calibrated anew afterwards.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor

from .train import save


def blend(begin: dict[str, Tensor], end: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """`share` of `end` and the rest of `begin`, weight by weight. Raises ValueError where they are of different networks."""
    if {k: v.shape for k, v in begin.items()} != {k: v.shape for k, v in end.items()}:
        raise ValueError("the checkpoints are of different networks")
    return {key: torch.lerp(begin[key], end[key], share) for key in end}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("begin", type=Path)
    parser.add_argument("end", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--share", type=float, default=0.7, help="of the end (default %(default)s)")
    arguments = parser.parse_args()
    if not 0 <= arguments.share <= 1:
        parser.error(f"--share {arguments.share:g} is not between 0 and 1")
    begin, end = (torch.load(path, map_location="cpu") for path in (arguments.begin, arguments.end))
    average = blend(begin["average"], end["average"], arguments.share)
    save(arguments.out, average=average, step=end["step"], size=end["size"])
    print(f"{arguments.out}: {arguments.share:g} of {arguments.end}, the rest of {arguments.begin}")


if __name__ == "__main__":
    main()
