"""An exported network -> a checkpoint from which training goes on.

    python -m resident.restore MODEL.onnx RUN_DIR --train DIR --teacher FILE.json [--dataset DIR] [--size n]

The exporter folds norms into the convolutions before them; here they are taken apart again: a norm gets the mean and
deviation that its convolution really gives on training pictures, and a scale and shift that undo them, so that the
network computes what the file computes. The boxes of the one-to-one head are not in the file; it starts with the other's.
Of the scores the file has the calibrated mean of both heads; both start with it.
"""

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from .batches import Batches
from .model import SIZES, PreActivation, ResIdent
from .sets import load
from .train import Average, optimiser, save

SAMPLES = 8


def tensors(path: Path) -> dict[str, np.ndarray]:
    """Every constant tensor of a file by name, in file order; copies by `Identity` too."""
    graph = onnx.load(str(path)).graph
    found = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def folded(net: ResIdent) -> list[tuple[nn.Conv2d, PreActivation]]:
    """Convolutions with the norm that is folded into them, in the order of the network's run."""
    found = [(net.backbone.stem, net.backbone.stages[0][0].before)]
    blocks = [*(b for stage in net.backbone.stages for b in list(stage)[1:]), *net.neck.down, *net.neck.up]
    found += [(block.reduce, block.before_expand) for block in blocks]
    towers = [*net.score_tower, *net.many.box_tower, net.embedder.tower]
    return found + [(tower[1], tower[2]) for tower in towers]


@torch.no_grad()
def fill(net: ResIdent, constants: dict[str, np.ndarray]) -> dict[PreActivation, Tensor]:
    """Puts the weights in; answers the shift of each folded norm. Norms that are still there are restored whole."""
    if "scores.weight" not in constants:
        raise ValueError("the file has no scores.weight: it is no resident, or exported by an older version of this code")
    take = lambda name: torch.from_numpy(np.array(constants[name]))
    pairs = folded(net)
    scores = (net.one.score, net.many.score)
    convolutions = {conv for conv, _ in pairs} | set(net.one.box_tower.modules()) | {net.one.box, *scores}
    for name, module in net.named_modules():
        if isinstance(module, PreActivation) and f"net.{name}.0.weight" in constants:
            module.weight.copy_(take(f"net.{name}.0.weight") - module.FLOOR)
            module.bias.copy_(take(f"net.{name}.0.bias"))
            module.running_mean.copy_(take(f"net.{name}.0.running_mean"))
            module.running_var.copy_(take(f"net.{name}.0.running_var"))
        elif isinstance(module, nn.Conv2d) and module not in convolutions:
            if f"net.{name}.weight" not in constants:
                raise ValueError(f"the file has no net.{name}.weight: it is no resident of this size")
            module.weight.copy_(take(f"net.{name}.weight"))
            if module.bias is not None:
                module.bias.copy_(take(f"net.{name}.bias"))
    for score in scores:
        score.weight.copy_(take("scores.weight"))
        score.bias.copy_(take("scores.bias"))
    nameless = [key for key in constants if key.startswith("onnx::Conv_")][: 2 * len(pairs)]
    shifts = {}
    for (conv, norm), weight, bias in zip(pairs, nameless[::2], nameless[1::2], strict=True):
        conv.weight.copy_(take(weight))
        shifts[norm] = take(bias)
    return shifts


@torch.no_grad()
def calibrate(net: ResIdent, shifts: dict[PreActivation, Tensor], pictures: list[Tensor]) -> None:
    """Gives each folded norm the statistics of its input on `pictures` ([B, 3, H, W] in 0..1), without changing what
    the network computes."""
    norms, sums = list(shifts), {norm: [] for norm in shifts}
    for norm in norms:
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0 - norm.eps)
        norm.weight.fill_(1.0 - norm.FLOOR)
        norm.bias.copy_(shifts[norm])
    hooks = [norm.register_forward_pre_hook(lambda module, inputs: sums[module].append(inputs[0])) for norm in norms]
    collected = {norm: (torch.zeros(len(shifts[norm]), dtype=torch.float64),) * 2 for norm in norms}
    counts = dict.fromkeys(norms, 0)
    for batch in pictures:
        net(batch)
        for norm in norms:
            for x in sums[norm]:
                flat = x.double().transpose(0, 1).flatten(1)
                first, second = collected[norm]
                collected[norm] = (first + flat.sum(1), second + (flat**2).sum(1))
                counts[norm] += flat.shape[1]
            sums[norm].clear()
    for hook in hooks:
        hook.remove()
    for norm in norms:
        mean = collected[norm][0] / counts[norm]
        variance = (collected[norm][1] / counts[norm] - mean**2).clamp(min=1e-4)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt() - norm.FLOOR)
        norm.bias.copy_(shifts[norm] + mean.float())


def restore(path: Path, size: str, pictures: list[Tensor]) -> ResIdent:
    """The network of an exported file, ready to be trained on."""
    net = ResIdent(SIZES[size]).eval()
    shifts = fill(net, tensors(path))
    calibrate(net, shifts, pictures)
    net.one.box_tower.load_state_dict(net.many.box_tower.state_dict())
    net.one.box.load_state_dict(net.many.box.state_dict())
    return net


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--teacher", type=Path, required=True)
    parser.add_argument("--dataset", type=Path, action="append", default=[])
    parser.add_argument("--size", choices=SIZES, default="n")
    arguments = parser.parse_args()
    sources, _ = load(arguments.train, arguments.teacher, arguments.dataset)
    batches = Batches(sources, 16, 0, SAMPLES)
    pictures = [batches[step][0].float() / 255 for step in range(SAMPLES)]
    net = restore(arguments.model, arguments.size, pictures)
    arguments.run.mkdir(parents=True, exist_ok=True)
    average = Average(net)
    save(arguments.run / "last.pt", net=net.state_dict(), average=average.net.state_dict(), updates=0,
         rule=optimiser(net).state_dict(), step=0, cool_from=None, size=arguments.size)
    print(f"{arguments.run / 'last.pt'}: restored from {arguments.model}")


if __name__ == "__main__":
    main()
