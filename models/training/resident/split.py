"""Which pictures are held out: whole groups of look-alikes, so that no copy in the same set is trained on.

Pictures of one set that look alike when shrunk to a few grey cells (copies, neighbouring frames, one fixed camera at
one time of day) form a group. A group is held out when the hash of its first name says so.
"""

import hashlib

import cv2
import numpy as np

CELLS = 12
ALIKE = 0.92
HELD_OUT_SHARE = 0.12


def signature(rgb: np.ndarray) -> np.ndarray:
    """[H, W, 3] u8 -> unit vector of CELLS * CELLS grey cells without their mean."""
    grey = cv2.resize(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    cells = grey.astype(np.float32).ravel()
    cells -= cells.mean()
    return cells / (np.linalg.norm(cells) + 1e-6)


def groups(signatures: np.ndarray) -> np.ndarray:
    """[N, D] unit vectors -> the lowest member of each one's group, [N]; alike to one member is in the group."""
    leader = np.arange(len(signatures))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for i, row in enumerate(signatures):
        for j in np.nonzero(signatures[:i] @ row > ALIKE)[0]:
            a, b = find(i), find(int(j))
            leader[max(a, b)] = min(a, b)
    return np.array([find(i) for i in range(len(signatures))])


def is_held_out(names: list[str], signatures: np.ndarray) -> np.ndarray:
    """For the pictures of one set, in name order: which are held out, [N] bool."""
    leader = groups(signatures)
    chance = [int.from_bytes(hashlib.sha256(names[i].encode()).digest()[:4]) / 2**32 for i in leader]
    return np.array(chance) < HELD_OUT_SHARE
