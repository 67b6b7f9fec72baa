"""Network -> ONNX: the best locations leave with boxes, scores and embeddings, each object once.

The head with one location per object knows where an object's middle is, that with several knows better what it is and
where it ends. A location's score has the mean log odds of both, its box is the latter's; of what is then still found
several times the best stays, with the mean of all their boxes. All of it within the graph, so that nothing is left to do
for whoever runs the file.

    python -m resident.export CHECKPOINT.pt OUT.onnx [--run NAME]
"""

import argparse
import copy
import json
from pathlib import Path

import onnx
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .classes import CLASSES
from .model import SIZES, STRIDES, PreActivation, ResIdent, boxes_from, distances, listed

OPSET = 17
BEST = 300
# Two boxes that overlap by more are one object, of whatever classes.
SAME = 0.6
INPUT = (288, 512)


class Exported(nn.Module):
    """images [B, 3, H, W] RGB 0..1 -> boxes [B, N, 4] in input pixels, scores [B, N, C], embeddings [B, N, D] of unit
    length; N = BEST locations, best score first; the scores of suppressed ones are 0."""

    def __init__(self, net: ResIdent) -> None:
        super().__init__()
        self.net = net
        self.scores = scoring(net)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class. What only BEST locations need is worked out for them alone."""
        net = self.net
        maps = net.neck(net.backbone(images))
        joined = lambda layers: torch.cat([listed(layers(x)) for x in maps], 1)
        odds = joined(lambda x: self.scores(net.score_tower(x)))
        at = odds.amax(-1).topk(BEST, dim=1).indices
        rows = (at + torch.arange(at.shape[0])[:, None] * odds.shape[1]).flatten()
        take = lambda x: x.flatten(0, 1).index_select(0, rows).reshape(-1, BEST, x.shape[-1])
        sides, looks = take(joined(net.many.box_tower)), take(joined(net.embedder.tower))
        boxes = boxes_from(distances(at_each(net.many.box, sides)), *places(at, [x.shape[-2:] for x in maps]))
        scores = take(odds).sigmoid()
        boxes, stays = settled(boxes, scores.amax(-1))
        return boxes, scores * stays[..., None], F.normalize(at_each(net.embedder.out, looks), dim=-1)


def scoring(net: ResIdent) -> nn.Conv2d:
    """The 1x1 convolution of the score tower's maps that gives the calibrated mean of both heads' log odds."""
    one, many, (scale, shift) = net.one.score, net.many.score, net.calibration
    mean = nn.Conv2d(one.in_channels, one.out_channels, 1)
    mean.weight.data = (one.weight.data + many.weight.data) * (scale / 2)
    mean.bias.data = (one.bias.data + many.bias.data) * (scale / 2) + shift
    return mean


def at_each(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution of locations in a list, [B, N, C] -> [B, N, out]."""
    return F.linear(x, conv.weight.flatten(1), conv.bias)


def settled(boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """What is found several times becomes one.

    Boxes [B, N, 4] in pixels below 2048, best first, and their scores [B, N] -> for each box the mean of all that
    overlap it by more than SAME, by their squared scores, [B, N, 4]; and 1 where none before it that stays is the
    same, else 0, [B, N].

    Suppression in matrix form (Zheng et al. 2021, "Enhancing Geometric Factors", Cluster-NMS), in two rounds: the first
    tells who may go, the second lets only those count that stayed. More rounds change nothing that is measurable. The
    mean is the voting of Gidaris and Komodakis 2015, "Object Detection via a Multi-Region Model", 5.2.
    """
    left, top, right, bottom = boxes.unbind(-1)
    # Each side apart: runtimes are several times slower where the last axis is short.
    across = torch.minimum(right[:, :, None], right[:, None]) - torch.maximum(left[:, :, None], left[:, None])
    down = torch.minimum(bottom[:, :, None], bottom[:, None]) - torch.maximum(top[:, :, None], top[:, None])
    # IoU > SAME, without a division.
    share = (right - left) * (bottom - top) * (SAME / (1 + SAME))
    same = (across.clamp(min=0) * down.clamp(min=0) > share[:, :, None] + share[:, None]).float()
    before = same.triu(1)
    stays = torch.ones_like(scores)[:, None]
    for _ in range(2):
        stays = 1 - (stays @ before).clamp(max=1)
    # Whole pixels and what is left of them apart: TF32 and fp16 round products to 11 bits, which these have.
    whole = boxes.floor()
    parts = torch.cat((whole, boxes - whole, torch.ones_like(boxes[..., :1])), -1)
    sums = (same * scores.square()[:, None]) @ parts
    total = sums[..., 8:]
    # A box without area is not even the same as itself, and the smallest scores have no square.
    is_known = total > 0
    mean = (sums[..., :4] + sums[..., 4:8]) / torch.where(is_known, total, torch.ones_like(total))
    return torch.where(is_known, mean, boxes), stays[:, 0]


def places(at: Tensor, shapes: list[torch.Size]) -> tuple[Tensor, Tensor]:
    """Numbers of locations [B, N] -> their centres in pixels [B, N, 2] and strides [B, N, 1]; as `locations` gives
    them, without a list of all."""
    number, columns, stride = at, torch.zeros_like(at), torch.zeros_like(at)
    first = 0
    for (rows, wide), step in zip(shapes, STRIDES):
        reached = at >= first
        number = torch.where(reached, at - first, number)
        columns = torch.where(reached, wide, columns)
        stride = torch.where(reached, step, stride)
        first = first + rows * wide
    row = torch.div(number, columns, rounding_mode="floor")
    cell = torch.stack((number - row * columns, row), -1)
    stride = stride[..., None].float()
    return (cell.float() + 0.5) * stride, stride


def plain(net: nn.Module) -> nn.Module:
    """A copy in which every norm is an ordinary one with its positive scale worked out, so that it can be folded into
    the convolution before it."""
    net = copy.deepcopy(net).eval()
    for parent in list(net.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, PreActivation):
                norm = nn.BatchNorm2d(child.weight.numel(), eps=child.eps)
                norm.weight.data, norm.bias.data = child.scale().detach(), child.bias.detach()
                norm.running_mean, norm.running_var = child.running_mean, child.running_var
                setattr(parent, name, nn.Sequential(norm, nn.ReLU()).eval())
    return net


def restored(checkpoint: Path) -> tuple[ResIdent, int]:
    """The averaged network of a checkpoint, and its step."""
    state = torch.load(checkpoint, map_location="cpu")
    net = ResIdent(SIZES[state["size"]])
    net.load_state_dict(state["average"])
    net.calibration = state.get("calibration", net.calibration)
    return net.eval(), state["step"]


def export(net: ResIdent, out: Path, metadata: dict[str, str]) -> None:
    """Writes and checks the ONNX file; batch, height and width are free (multiples of 32)."""
    axes = {name: {0: "batch"} for name in ("images", "boxes", "scores", "embeddings")}
    axes["images"] |= {2: "height", 3: "width"}
    arguments = {"opset_version": OPSET, "input_names": ["images"], "output_names": ["boxes", "scores", "embeddings"], "dynamic_axes": axes}
    if torch.__version__ >= "2.5":
        arguments["dynamo"] = False
    torch.onnx.export(Exported(plain(net)).eval(), torch.zeros(1, 3, *INPUT), str(out), **arguments)
    model = onnx.load(str(out))
    for output, width in zip(model.graph.output, (4, len(CLASSES), net.size.embedding)):
        for axis, known in ((1, BEST), (2, width)):
            output.type.tensor_type.shape.dim[axis].dim_value = known
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(out))


def metadata(size: str, run: str) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "names": json.dumps(dict(enumerate(CLASSES))),
        "license": "Apache-2.0 OR MIT",
        "head": "resident",
        "size": size,
        "imgsz": json.dumps(list(INPUT)),
        "run": run,
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", default="", help="which training the weights come from, for the metadata")
    arguments = parser.parse_args()
    net, step = restored(arguments.checkpoint)
    size = next(name for name, size in SIZES.items() if size == net.size)
    export(net, arguments.out, metadata(size, arguments.run or f"step {step}"))
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.2f} MB, step {step}")


if __name__ == "__main__":
    main()
