"""Frames per second and CPU time of a peer between its tenth and its last frame."""

import json
import time

WARM_UP = 10


class Clock:
    """Told of each frame when it is done."""

    def __init__(self) -> None:
        self.frames = 0
        self.began = self.cpu = 0.0

    def frame(self) -> None:
        """One more is done."""
        self.frames += 1
        if self.frames == WARM_UP:
            self.began, self.cpu = time.perf_counter(), time.process_time()

    def tell(self) -> None:
        """Prints the figures as the last line."""
        counted = self.frames - WARM_UP
        wall, cpu = time.perf_counter() - self.began, time.process_time() - self.cpu
        print(json.dumps({"frames": self.frames, "fps": counted / wall, "cpu_ms": cpu / counted * 1e3}))
