"""Trains ResIdent. Interrupted, it goes on where it stopped.

    python -m resident.train RUN_DIR --train DIR --teacher FILE.json [--dataset DIR] [--size n]
    python -m resident.train RUN_DIR … --cool 2000

With `--processes N` each of N processes works on views of its own with one thread, and their gradients are averaged:
on a CPU with other work to do that is several times faster than one process with N threads, which wait for each other
at every layer.

On a GPU all pictures are kept in its memory and the views are drawn there (`on_device.py`); `--workers` processes plan
them.

The learning rate is constant after a warm-up, so that a training can go on for as long as there is time; `--cool N`
ends it with N steps in which the rate falls to nothing, written to RUN_DIR/cooled.pt. `--minutes M` does both within
that time, for a machine that is lent: the rate falls in the latter part.
"""

import argparse
import copy
import json
import os
import tempfile
import time
from dataclasses import fields
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.utils.data import DataLoader, Subset

from .batches import Batches
from .loss import Targets, losses
from .model import SIZES, ResIdent
from .on_device import Plan, Store
from .sets import load

RATE, DECAY, WARM_UP, AVERAGE = 2e-3, 0.03, 300, 0.999
CLIP = 10.0
SAVE_EVERY, PRINT_EVERY = 200, 20
# Share of a `--minutes` training after which the rate falls.
HOLD = 0.35


def optimiser(net: nn.Module, rate: float = RATE) -> torch.optim.Optimizer:
    """AdamW; norms and biases do not decay (Loshchilov and Hutter 2019)."""
    flat = [p for p in net.parameters() if p.ndim <= 1]
    full = [p for p in net.parameters() if p.ndim > 1]
    return torch.optim.AdamW([{"params": full, "weight_decay": DECAY}, {"params": flat, "weight_decay": 0.0}], lr=rate)


class Average:
    """Exponential mean of the weights; it is what is exported."""

    def __init__(self, net: nn.Module) -> None:
        self.net = copy.deepcopy(net).eval()
        self.updates = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Takes one step of `net` in; early steps weigh more."""
        self.updates += 1
        keep = min(AVERAGE, (1 + self.updates) / (10 + self.updates))
        mine, new = list(self.net.state_dict().values()), list(net.state_dict().values())
        torch._foreach_mul_(mine, keep)
        torch._foreach_add_(mine, new, alpha=1 - keep)


def rate_at(step: int, cool_from: int | None, cool: int) -> float:
    """Share of the full learning rate at a step."""
    warm = min(1.0, (step + 1) / WARM_UP)
    left = 1.0 if cool_from is None else max(0.0, 1 - (step - cool_from) / cool)
    return warm * left


def rate_in_time(step: int, share: float) -> float:
    """Share of the full learning rate at a step, when a share of the time is over."""
    return min(1.0, (step + 1) / WARM_UP) * min(1.0, max(0.0, 1 - share) / (1 - HOLD))


def moved(targets: Targets, device: torch.device) -> Targets:
    """The same targets on a device."""
    return Targets(**{f.name: getattr(targets, f.name).to(device) for f in fields(targets)})


def save(path: Path, **state: object) -> None:
    """Written whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def share_gradients(net: nn.Module) -> None:
    """Every process goes on with the mean of all gradients."""
    if not dist.is_initialized():
        return
    gradients = [p.grad for p in net.parameters() if p.grad is not None]
    flat = torch.cat([g.reshape(-1) for g in gradients])
    dist.all_reduce(flat)
    for gradient, mean in zip(gradients, flat.div_(dist.get_world_size()).split([g.numel() for g in gradients])):
        gradient.copy_(mean.view_as(gradient))


def train(
    run: Path, batches: Batches, size: str, steps: int, cool: int, device: torch.device, workers: int,
    seconds: float = 0.0, rate: float = RATE, store: Store | None = None,
) -> ResIdent:
    """Trains until `steps`, or cools for `cool` steps from where the run is, or does both in `seconds`. Returns the
    averaged network. `store` draws the plans of batches that are not drawn."""
    torch.manual_seed(batches.seed)
    net = ResIdent(SIZES[size]).to(device, memory_format=torch.channels_last)
    if dist.is_initialized():
        for weights in net.state_dict().values():
            dist.broadcast(weights, 0)
    average, rule, step = Average(net), optimiser(net, rate), 0
    run.mkdir(parents=True, exist_ok=True)
    last, cooling = run / "last.pt", run / "cooling.pt"
    cool_from = None
    begin = cooling if cool and cooling.exists() else last
    if begin.exists():
        state = torch.load(begin, map_location=device)
        net.load_state_dict(state["net"])
        average.net.load_state_dict(state["average"])
        average.updates = state["updates"]
        rule.load_state_dict(state["rule"])
        step, cool_from = state["step"], state["cool_from"]
    if cool:
        cool_from = step if cool_from is None else cool_from
        steps = cool_from + cool
    target = cooling if cool else last
    leads = not dist.is_initialized() or dist.get_rank() == 0
    ahead = {"prefetch_factor": 3} if workers else {}
    loader = DataLoader(Subset(batches, range(step, steps)), batch_size=None, num_workers=workers, **ahead)
    began, first, views = time.monotonic(), step, 0
    processes = dist.get_world_size() if dist.is_initialized() else 1
    sums, summed = torch.zeros(5, device=device), 0
    for pictures, targets in loader:
        passed = (time.monotonic() - began) / seconds if seconds else 0.0
        if passed >= 1:
            break
        for group in rule.param_groups:
            group["lr"] = rate * (rate_in_time(step - first, passed) if seconds else rate_at(step, cool_from, cool))
        images = on_device(pictures, device, store)
        net.train()
        with torch.autocast(device.type, torch.bfloat16):
            raw = net(images)
        parts = losses(raw, moved(targets, device), *images.shape[-2:])
        rule.zero_grad()
        parts.total.backward()
        share_gradients(net)
        norm = nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        if torch.isfinite(norm):
            rule.step()
            average.update(net)
        step += 1
        views += len(images) * processes
        sums += torch.stack([parts.score, parts.box, parts.side, parts.identity, norm]).detach()
        summed += 1
        if step % PRINT_EVERY == 0:
            means = dict(zip(("score", "box", "side", "identity", "norm"), (sums / summed).tolist()))
            sums, summed = torch.zeros_like(sums), 0
            if not leads:
                continue
            row = {"step": step, **means, "rate": rule.param_groups[0]["lr"],
                   "pictures_per_s": views / (time.monotonic() - began)}
            with (run / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
            print(" ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)
        if not leads:
            continue
        if step % SAVE_EVERY == 0 or step == steps:
            save(target, net=net.state_dict(), average=average.net.state_dict(), updates=average.updates,
                 rule=rule.state_dict(), step=step, cool_from=cool_from, size=size)
    if (cool or seconds) and leads:
        save(run / "cooled.pt", average=average.net.state_dict(), step=step, size=size)
        print(f"{run / 'cooled.pt'}: {step} steps, {views} views since step {first}", flush=True)
        cooling.unlink(missing_ok=True)
    return average.net


def on_device(pictures: torch.Tensor | Plan, device: torch.device, store: Store | None) -> torch.Tensor:
    """A batch as it comes from the loader -> [B, 3, H, W] in 0..1 on the device."""
    if isinstance(pictures, Plan):
        assert store is not None
        return store.draw(pictures.to(device))
    return pictures.to(device).float().div_(255).contiguous(memory_format=torch.channels_last)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of checkpoints and the log")
    parser.add_argument("--train", type=Path, required=True, help="folder of labelled sets")
    parser.add_argument("--teacher", type=Path, required=True, help="made by resident.teacher")
    parser.add_argument("--dataset", type=Path, action="append", default=[], help="made by gantryd simulate --dataset; may be given again")
    parser.add_argument("--size", choices=SIZES, default="n")
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--cool", type=int, default=0, metavar="N", help="end with N steps of a falling rate")
    parser.add_argument("--minutes", type=float, default=0.0, metavar="M", help="train and cool within this time")
    parser.add_argument("--rate", type=float, default=RATE, help="full learning rate (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=16, help="pairs of views per batch")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1, help="each with --pairs / N pairs and one thread")
    arguments = parser.parse_args()
    sources, _ = load(arguments.train, arguments.teacher, arguments.dataset)
    for share, pictures in sources:
        print(f"{pictures[0].name.split('/')[0]}: {len(pictures)} pictures, weight {share:.0f}", flush=True)
    pairs = max(1, arguments.pairs // arguments.processes)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    store = None
    if device.type == "cuda":
        began = time.monotonic()
        store = Store([picture for _, pictures in sources for picture in pictures], device)
        print(f"{len(store.pixels) * 4 / 1e9:.1f} GB of pictures on the device after {time.monotonic() - began:.0f} s", flush=True)

    def work(rank: int) -> None:
        # Beyond the last step of the cooling, so that every step has a batch.
        batches = Batches(sources, pairs, arguments.seed + 1000 * rank, arguments.steps + arguments.cool, plans=store is not None)
        train(arguments.run, batches, arguments.size, arguments.steps, arguments.cool, device, arguments.workers,
              arguments.minutes * 60, arguments.rate, store)

    if arguments.processes == 1:
        work(0)
        return
    meeting = tempfile.mktemp(prefix="resident-train-")
    children = []
    for rank in range(arguments.processes):
        child = os.fork()
        if child == 0:
            torch.set_num_threads(1)
            dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=arguments.processes)
            work(rank)
            dist.destroy_process_group()
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("a process of the training failed")


if __name__ == "__main__":
    main()
