"""The network: its identity paths, its shapes, what it may weigh."""

import unittest

import torch
from torch import nn

from resident.model import SIZES, IdentityBlock, PreActivation, ResIdent, locations


class Blocks(unittest.TestCase):
    def test_a_block_without_residual_is_the_identity_whatever_its_norms(self) -> None:
        block = IdentityBlock(8, 4)
        nn.init.zeros_(block.expand.weight)
        x = torch.randn(2, 8, 5, 5)
        self.assertTrue(torch.equal(block(x), x))

    def test_gradients_reach_the_input_of_a_deep_chain_undiminished(self) -> None:
        # Equation 5 of He et al. 2016: the gradient holds one term that no weight multiplies.
        chain = nn.Sequential(*(IdentityBlock(8, 4) for _ in range(30)))
        for block in chain:
            nn.init.zeros_(block.expand.weight)
        x = torch.randn(2, 8, 5, 5, requires_grad=True)
        chain(x).sum().backward()
        self.assertTrue(torch.equal(x.grad, torch.ones_like(x)))

    def test_without_the_path_nothing_of_the_input_is_left(self) -> None:
        block = IdentityBlock(8, 4, identity=False)
        nn.init.zeros_(block.expand.weight)
        self.assertEqual(block(torch.randn(1, 8, 5, 5)).abs().max().item(), 0.0)

    def test_the_scale_of_a_norm_stays_positive(self) -> None:
        norm = PreActivation(3)
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([-2.0, 0.0, 2.0]))
        self.assertTrue((norm.scale() > 0).all())


class Network(unittest.TestCase):
    def test_every_location_answers(self) -> None:
        net = ResIdent(SIZES["tiny"]).eval()
        raw = net(torch.rand(2, 3, 64, 96))
        count = 8 * 12 + 4 * 6 + 2 * 3
        self.assertEqual(raw.one_logits.shape, (2, count, 8))
        self.assertEqual(raw.one_boxes.shape, (2, count, 4))
        self.assertEqual(raw.embeddings.shape, (2, count, 16))
        self.assertTrue((raw.one_boxes[..., 2:] > raw.one_boxes[..., :2]).all())

    def test_locations_are_cell_centres_row_by_row(self) -> None:
        centres, strides = locations(32, 64, torch.device("cpu"))
        self.assertEqual(centres[:2].tolist(), [[4.0, 4.0], [12.0, 4.0]])
        self.assertEqual(centres[8].tolist(), [4.0, 12.0])
        self.assertEqual((centres[-1].tolist(), strides[-1].item()), ([48.0, 16.0], 32.0))

    def test_sizes_keep_to_their_weight(self) -> None:
        for size, most in (("n", 1.5e6), ("s", 8e6)):
            net = ResIdent(SIZES[size])
            exported = sum(p.numel() for name, p in net.named_parameters() if not name.startswith("one.box"))
            self.assertLessEqual(exported, most, size)

    def test_every_head_teaches_the_backbone(self) -> None:
        for output in ("one_logits", "many_logits", "one_boxes", "many_boxes", "embeddings"):
            net = ResIdent(SIZES["tiny"])
            getattr(net(torch.rand(1, 3, 64, 64)), output).sum().backward()
            self.assertGreater(net.backbone.stem.weight.grad.abs().sum().item(), 0, output)


if __name__ == "__main__":
    unittest.main()
