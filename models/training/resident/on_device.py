"""Views drawn on a GPU: all pictures lie in its memory, and a batch of plans (`augment.View`) becomes pixels there.

A CPU core draws some fifty views in a second; this draws thousands, so that the network is what takes the time.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .augment import GREY, View
from .pictures import Picture

TILES = 4
BLUR_REACH = 4
# ITU-T T.81, annex K.1: how coarsely brightness is kept at quality 50.
BRIGHTNESS_STEPS = torch.tensor([
    [16, 11, 10, 16, 24, 40, 51, 61], [12, 12, 14, 19, 26, 58, 60, 55], [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62], [18, 22, 37, 56, 68, 109, 103, 77], [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101], [72, 92, 95, 98, 112, 100, 103, 99]], dtype=torch.float32)


@dataclass
class Plan:
    """How B views of `height` x `width` are drawn. `pictures` [B, TILES]: number of the picture, -1 for none; `parts`
    and `places` [B, TILES, 4]: x, y, width, height; `mirrored` and `smooth` [B, TILES]; `matrix` [B, 3, 3];
    `light` [B, 4]: gamma, blur, noise, JPEG quality."""

    height: int
    width: int
    pictures: Tensor
    parts: Tensor
    places: Tensor
    mirrored: Tensor
    smooth: Tensor
    matrix: Tensor
    light: Tensor
    seed: int

    def to(self, device: torch.device) -> "Plan":
        """The same on a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Plan(**{k: v.to(device, non_blocking=True) if isinstance(v, Tensor) else v for k, v in values.items()})


def plan(views: list[View]) -> Plan:
    """The views of a batch, all of one size, as one plan."""
    shape = (len(views), TILES)
    pictures, mirrored, smooth = np.full(shape, -1), np.zeros(shape, bool), np.zeros(shape, bool)
    parts, places = np.ones((*shape, 4), np.int64), np.ones((*shape, 4), np.int64)
    for row, view in enumerate(views):
        for column, one in enumerate(view.placements):
            pictures[row, column], mirrored[row, column], smooth[row, column] = one.picture.number, one.mirrored, one.smooth
            parts[row, column], places[row, column] = one.part, one.place
    light = np.array([[v.light.gamma, v.light.blur, v.light.noise, v.light.quality] for v in views], np.float32)
    matrix = np.stack([v.light.matrix for v in views]).astype(np.float32)
    tensors = (torch.from_numpy(x) for x in (pictures, parts, places, mirrored, smooth, matrix, light))
    return Plan(views[0].height, views[0].width, *tensors, views[0].light.seed)


class Store:
    """All pictures, whole and at half size, as one run of RGB0 pixels in device memory. Numbers the pictures."""

    def __init__(self, pictures: list[Picture], device: torch.device) -> None:
        shapes = []
        for number, picture in enumerate(pictures):
            picture.number = number
            rows, columns = picture.rgb.shape[:2]
            shapes.append([(rows, columns), (rows // 2, columns // 2)])
        self.shapes = torch.tensor(shapes, device=device)
        sizes = self.shapes.prod(-1)
        ends = sizes.flatten().cumsum(0).view_as(sizes)
        self.first = ends - sizes
        self.pixels = torch.zeros(int(ends[-1, -1]), dtype=torch.int32, device=device)
        bytes_of = self.pixels.view(torch.uint8).view(-1, 4)
        for picture, first, size in zip(pictures, self.first.tolist(), sizes.tolist()):
            rgb = torch.from_numpy(picture.rgb).to(device)
            half = F.avg_pool2d(rgb.permute(2, 0, 1)[None].float(), 2)[0].permute(1, 2, 0).round().to(torch.uint8)
            for level, content in enumerate((rgb, half)):
                bytes_of[first[level] : first[level] + size[level], :3] = content.reshape(-1, 3)

    @torch.no_grad()
    def draw(self, plan: Plan) -> Tensor:
        """A plan that is on this device -> pictures [B, 3, H, W] in 0..1."""
        rgb = recoloured(self.pasted(plan), plan)
        return rgb.div_(255).contiguous(memory_format=torch.channels_last)

    def pasted(self, plan: Plan) -> Tensor:
        """The parts of pictures in their places on grey, [B, 3, H, W] in 0..255."""
        level = plan.smooth.long()
        number = plan.pictures.clamp(min=0)
        shape, first = self.shapes[number, level], self.first[number, level]
        is_used = plan.pictures >= 0
        ys, inside_y = sources(plan.height, plan.parts[..., 1::2], plan.places[..., 1::2], torch.zeros_like(is_used), level)
        xs, inside_x = sources(plan.width, plan.parts[..., 0::2], plan.places[..., 0::2], plan.mirrored, level)
        rows, columns = shape[..., 0, None], shape[..., 1, None]
        y0, x0 = ys.floor().clamp(min=0), xs.floor().clamp(min=0)
        down, across = (ys - y0).clamp(0, 1), (xs - x0).clamp(0, 1)
        top, left = torch.minimum(y0.long(), rows - 1), torch.minimum(x0.long(), columns - 1)
        bottom, right = torch.minimum(top + 1, rows - 1), torch.minimum(left + 1, columns - 1)
        lines = (first[..., None] + top * columns, first[..., None] + bottom * columns)

        canvas = torch.full((len(number), plan.height, plan.width, 3), float(GREY), device=self.pixels.device)
        for tile in range(TILES):
            of = (is_used[:, tile, None, None] & inside_y[:, tile, :, None] & inside_x[:, tile, None, :]).nonzero(as_tuple=True)
            view, y, x = of
            a, b = down[view, tile, y, None], across[view, tile, x, None]
            corner = lambda line, column: self.rgb(line[view, tile, y] + column[view, tile, x])
            upper = torch.lerp(corner(lines[0], left), corner(lines[0], right), b)
            lower = torch.lerp(corner(lines[1], left), corner(lines[1], right), b)
            canvas[of] = torch.lerp(upper, lower, a)
        return canvas.permute(0, 3, 1, 2)

    def rgb(self, at: Tensor) -> Tensor:
        """Pixels [P] -> [P, 3] in 0..255."""
        return self.pixels[at].view(torch.uint8).view(-1, 4)[:, :3].float()


def sources(length: int, part: Tensor, place: Tensor, mirrored: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Along one side: for each of `length` pixels of the view, where in the picture at its level it comes from
    [B, TILES, length], and whether it lies in the place. part and place are (from, how many) [B, TILES, 2]."""
    pixel = torch.arange(length, device=part.device) - place[..., :1]
    inside = (pixel >= 0) & (pixel < place[..., 1:])
    pixel = torch.where(mirrored[..., None], place[..., 1:] - 1 - pixel, pixel)
    share = (pixel + 0.5) / place[..., 1:]
    shrunk = 2.0 ** level[..., None]
    return (part[..., :1] + share * part[..., 1:]) / shrunk - 0.5, inside


def recoloured(rgb: Tensor, plan: Plan) -> Tensor:
    """Pictures [B, 3, H, W] in 0..255 in the light of their plan."""
    rgb = torch.einsum("bij,bjhw->bihw", plan.matrix, rgb).clamp(0, 255)
    gamma, blur, noise, quality = plan.light.unbind(1)
    for wanted, change in (
        (gamma != 1, lambda x, of: 255 * (x / 255) ** gamma[of, None, None, None]),
        (blur > 0, lambda x, of: blurred(x, blur[of])),
        (noise > 0, lambda x, of: x + torch.randn_like(x) * noise[of, None, None, None]),
        (quality > 0, lambda x, of: compressed(x, quality[of])),
    ):
        of = wanted.nonzero()[:, 0]
        if len(of):
            rgb[of] = change(rgb[of], of).clamp(0, 255)
    return rgb


def blurred(rgb: Tensor, deviations: Tensor) -> Tensor:
    """[B, 3, H, W] with a Gaussian of its own deviation in pixels each."""
    reach = torch.arange(-BLUR_REACH, BLUR_REACH + 1, device=rgb.device)
    kernel = torch.exp(-(reach**2) / (2 * deviations[:, None] ** 2))
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)
    flat = F.pad(rgb.flatten(0, 1)[None], (BLUR_REACH,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel[:, None, :, None], groups=len(kernel))
    return F.conv2d(flat, kernel[:, None, None, :], groups=len(kernel))[0].view_as(rgb)


def compressed(rgb: Tensor, quality: Tensor) -> Tensor:
    """[B, 3, H, W] as after JPEG: blocks of 8 x 8 in frequencies, brightness rounded as coarsely as the quality says."""
    count, _, height, width = rgb.shape
    at = torch.arange(8, device=rgb.device, dtype=torch.float32)
    waves = torch.cos((2 * at + 1) * at[:, None] * torch.pi / 16) * torch.where(at == 0, 0.5**1.5, 0.5)[:, None]
    steps = BRIGHTNESS_STEPS.to(rgb.device)
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    steps = (steps * factor[:, None, None]).clamp(min=1)[:, None, None]
    weights = torch.tensor([0.299, 0.587, 0.114], device=rgb.device)
    bright = torch.einsum("bchw,c->bhw", rgb, weights) - 128
    blocks = bright.view(count, height // 8, 8, width // 8, 8).transpose(2, 3)
    kept = ((waves @ blocks @ waves.T) / steps).round() * steps
    again = (waves.T @ kept @ waves).transpose(2, 3).reshape(count, height, width)
    return rgb + (again - bright)[:, None]
