"""Network -> ONNX: the best locations leave with boxes, scores and embeddings, each object once.

The head with one location per object knows where an object's middle is, that with several knows better what it is and
where it ends. A location's score is the geometric mean of both, its box the latter's; what is then still found twice
is suppressed within the graph, so that nothing is left to do for whoever runs the file.

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

from .boxes import area
from .classes import CLASSES
from .model import SIZES, STRIDES, PreActivation, ResIdent, boxes_from, distances, flat

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

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See the class. What only BEST locations need is worked out for them alone."""
        net = self.net
        maps = net.neck(net.backbone(images))
        joined = lambda parts: torch.cat([flat(part) for part in parts], 1)
        one, many = (joined(head.score(head.score_tower(x)) for x in maps) for head in (net.one, net.many))
        sides = joined(net.many.box_tower(x) for x in maps)
        looks = joined(net.embedder.tower(x) for x in maps)
        squared = one.sigmoid() * many.sigmoid()
        at = squared.amax(-1).topk(BEST, dim=1).indices
        take = lambda x: torch.gather(x, 1, at[..., None].expand(-1, -1, x.shape[-1]))
        boxes = boxes_from(distances(at_each(net.many.box, take(sides))), *places(at, [x.shape[-2:] for x in maps]))
        scores = calibrated(take(squared).sqrt(), net.calibration) * is_first(boxes)[..., None]
        return boxes, scores, F.normalize(at_each(net.embedder.out, take(looks)), dim=-1)


def at_each(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A 1x1 convolution of locations in a list, [B, N, C] -> [B, N, out]."""
    return F.linear(x, conv.weight.flatten(1), conv.bias)


def calibrated(scores: Tensor, calibration: tuple[float, float]) -> Tensor:
    """Scores in 0..1 with their log odds scaled and shifted, see calibrate.py."""
    scale, shift = calibration
    odds = torch.log(scores.clamp(min=1e-6)) - torch.log1p(-scores.clamp(max=1 - 1e-6))
    return torch.sigmoid(odds * scale + shift)


def is_first(boxes: Tensor) -> Tensor:
    """Boxes [B, N, 4], best first -> [B, N]: 1 where none before it that stays overlaps it by more than SAME, else 0.

    Two rounds of the suppression in matrix form (Zheng et al. 2021, "Enhancing Geometric Factors", Cluster-NMS): the
    first tells who may go, the second lets only those count that stayed. More rounds change nothing that is measurable.
    """
    left, top, right, bottom = boxes.unbind(-1)
    # Each side apart: runtimes are several times slower where the last axis is short.
    across = torch.minimum(right[:, :, None], right[:, None]) - torch.maximum(left[:, :, None], left[:, None])
    down = torch.minimum(bottom[:, :, None], bottom[:, None]) - torch.maximum(top[:, :, None], top[:, None])
    # IoU > SAME, without a division.
    shared = across.clamp(min=0) * down.clamp(min=0) * (1 + 1 / SAME)
    size = area(boxes)
    same = (shared > size[:, :, None] + size[:, None]).float().triu(1)
    stays = 1 - same.amax(1)
    return 1 - (same * stays[..., None]).amax(1)


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
