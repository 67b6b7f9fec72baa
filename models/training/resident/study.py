"""What the identity path does: the same depth, the same batches, with `F(x) + x` and with `F(x)` alone.

    python -m resident.study OUT_DIR --train DIR --teacher FILE.json [--steps 800] [--depth 3]

Writes study.json, loss.svg and gradients.svg. The gradient norm of a block is that of all its weights, relative to
the norm of the weights themselves, so that blocks of different widths compare.
"""

import argparse
import copy
import dataclasses
import json
from pathlib import Path

import torch
from torch import nn

from .batches import Batches
from .loss import losses
from .model import SIZES, IdentityBlock, ResIdent, Size
from .sets import load
from .train import CLIP, RATE, optimiser

WARM_UP = 100
SMOOTH = 25


def deepened(size: Size, depth: int, identity: bool) -> Size:
    """`size` with `depth` times the blocks in every stage."""
    stages = tuple((channels, hidden, blocks * depth) for channels, hidden, blocks in size.stages)
    return dataclasses.replace(size, stages=stages, identity=identity)


def gradient_norms(net: ResIdent) -> list[float]:
    """Relative gradient norm of each backbone block, first block first."""
    blocks = [m for m in net.backbone.modules() if isinstance(m, IdentityBlock)]
    norm = lambda tensors: torch.stack([t.detach().pow(2).sum() for t in tensors]).sum().sqrt().item()
    return [norm(p.grad for p in b.parameters() if p.ndim == 4) / norm(p for p in b.parameters() if p.ndim == 4) for b in blocks]


def run(size: Size, batches: Batches, steps: int) -> dict[str, list]:
    """Trains from the same start; returns the loss of every step and gradient norms at some steps."""
    torch.manual_seed(batches.seed)
    net = ResIdent(size).to(memory_format=torch.channels_last)
    rule = optimiser(net)
    loss_at, norms = [], []
    for step in range(steps):
        for group in rule.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / WARM_UP)
        pictures, targets = batches[step]
        images = pictures.float().div_(255).contiguous(memory_format=torch.channels_last)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            raw = net(images)
        parts = losses(raw, targets, *images.shape[-2:])
        rule.zero_grad()
        parts.total.backward()
        if step in (0, steps // 10, steps - 1):
            norms.append({"step": step, "norms": gradient_norms(net)})
        nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        rule.step()
        loss_at.append(parts.total.item())
        if step % 20 == 0:
            print(f"identity={size.identity} step {step} loss {loss_at[-1]:.3f}", flush=True)
    return {"loss": loss_at, "gradients": norms}


def plot(out: Path, study: dict[str, dict]) -> None:
    """The two pictures."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "gantryd"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, result in study.items():
        loss = torch.tensor(result["loss"])
        smooth = loss.unfold(0, min(SMOOTH, len(loss)), 1).mean(1)
        axes.plot(range(len(smooth)), smooth, label=name)
    axes.set(xlabel="step", ylabel=f"training loss (mean of {SMOOTH} steps)")
    axes.legend()
    figure.savefig(out / "loss.svg", metadata={"Date": None}, bbox_inches="tight")
    figure, axes = pyplot.subplots(figsize=(7, 4))
    for name, result in study.items():
        for shade, at in zip((0.35, 0.65, 1.0), result["gradients"]):
            colour = "C0" if name == next(iter(study)) else "C1"
            axes.semilogy(range(1, len(at["norms"]) + 1), at["norms"], marker=".", color=colour, alpha=shade, label=f"{name}, step {at['step']}")
    axes.set(xlabel="block, from the picture to the head", ylabel="gradient norm / weight norm")
    axes.legend(fontsize="small")
    figure.savefig(out / "gradients.svg", metadata={"Date": None}, bbox_inches="tight")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--depth", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=6)
    arguments = parser.parse_args()
    sources, _ = load(arguments.train, arguments.teacher, [])
    batches = Batches(sources, arguments.pairs, 7, arguments.steps, ((256, 256),))
    study = {}
    for name, identity in (("F(x) + x", True), ("F(x)", False)):
        study[name] = run(deepened(copy.deepcopy(SIZES["n"]), arguments.depth, identity), batches, arguments.steps)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "study.json").write_text(json.dumps(study))
    plot(arguments.out, study)


if __name__ == "__main__":
    main()
