"""Data, training and export with a tiny network on drawn pictures."""

import importlib.util
import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from torch import Tensor

from resident.batches import Batches
from resident.blend import blend
from resident.blend import main as blend_main
from resident.boxes import intersection_over_union
from resident.classes import CLASSES, INDEX
from resident.export import SAME, export, metadata, restored, settled
from resident.loss import losses
from resident.model import SIZES, Raw, ResIdent
from resident.pictures import Picture, combined
from resident.reference import mean_of_same
from resident.restore import fill, restore
from resident.split import groups, signature
from resident.train import CLIP, RATE, on_device, optimiser, rate_at, rate_in_time, save, train

PERSON, CAR, TRUCK, VAN = (INDEX[name] for name in ("person", "car", "truck", "van"))


def drawn(count: int, seed: int) -> list[Picture]:
    """Pictures of one bright block each on noise: tall ones are persons, wide ones cars."""
    rng = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        rgb = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
        label = int(rng.integers(2))
        width, height = ((12, 28), (28, 12))[label]
        left, top = rng.integers(0, 64 - width), rng.integers(0, 64 - height)
        colour = rng.integers(150, 255, 3)
        rgb[top : top + height, left : left + width] = colour
        box = np.array([[left, top, left + width, top + height]], np.float32)
        pictures.append(
            Picture(f"drawn/{number}", rgb, box, np.array([(PERSON, CAR)[label]]), np.array([number]), np.ones(8, bool), video=f"{number}")
        )
    return pictures


class Labels(unittest.TestCase):
    def test_own_labels_win_and_unsure_ones_are_ignored(self) -> None:
        car = np.array([10.0, 10, 50, 40], np.float32)
        teacher = [
            [TRUCK, 11, 10, 50, 41, 0.9, 1],  # another vehicle in the same place: the own label wins
            [PERSON, 60, 10, 70, 40, 0.8, 1],  # not labelled by the set, sure: becomes a label
            [PERSON, 80, 10, 90, 40, 0.2, 0],  # unsure: ignored
            [CAR, 60, 50, 90, 80, 0.9, 1],  # the set labels cars but not this one: ignored
        ]
        boxes, labels, ignore, silent = combined([(CAR, car)], {CAR}, teacher)
        self.assertEqual(labels.tolist(), [CAR, PERSON])
        self.assertEqual(boxes[1].tolist(), [60, 10, 70, 40])
        places = {tuple(box): set(np.nonzero(row)[0]) for box, row in zip(ignore.tolist(), silent) if VAN not in np.nonzero(row)[0]}
        self.assertEqual(places, {(80.0, 10.0, 90.0, 40.0): {PERSON}, (60.0, 50.0, 90.0, 80.0): {CAR}})

    def test_an_untyped_vehicle_takes_the_teachers_word(self) -> None:
        box = np.array([10.0, 10, 50, 40], np.float32)
        _, labels, _, _ = combined([(None, box)], {CAR, TRUCK}, [[TRUCK, 10, 10, 50, 40, 0.4, 0]])
        self.assertEqual(labels.tolist(), [TRUCK])


class Split(unittest.TestCase):
    def test_copies_stay_together(self) -> None:
        rng = np.random.default_rng(2)
        base = [np.kron(rng.integers(0, 255, (6, 6, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(5)]
        brighter = [np.clip(rgb * 0.8 + 20, 0, 255).astype(np.uint8) for rgb in base]
        leader = groups(np.stack([signature(rgb) for rgb in base + brighter]))
        self.assertEqual(leader[:5].tolist(), [0, 1, 2, 3, 4])
        self.assertEqual(leader[5:].tolist(), [0, 1, 2, 3, 4])


class Data(unittest.TestCase):
    def test_a_batch_depends_on_seed_and_step_alone(self) -> None:
        a, b = (Batches([(1.0, drawn(6, 1))], 2, 3, 10, ((64, 64),)) for _ in range(2))
        a[0]
        self.assertTrue(torch.equal(a[4][0], b[4][0]))
        self.assertTrue(torch.equal(a[4][1].boxes, b[4][1].boxes))
        self.assertFalse(torch.equal(a[4][0], a[5][0]))

    def test_boxes_stay_on_the_bright_blocks(self) -> None:
        pictures, truth = Batches([(1.0, drawn(12, 1))], 8, 3, 10, ((64, 64),))[0]
        checked = 0
        for rgb, boxes, labels in zip(pictures, truth.boxes, truth.labels):
            for box, label in zip(boxes, labels):
                if label >= 0:
                    left, top, right, bottom = (int(round(v)) for v in box.tolist())
                    inside = rgb[:, top + 1 : bottom - 1, left + 1 : right - 1].float().amax(0).mean()
                    self.assertGreater(inside, 1.3 * rgb.float().amax(0).median().item() * 0.5)
                    checked += 1
        self.assertGreater(checked, 5)


class Training(unittest.TestCase):
    def setUp(self) -> None:
        torch.set_num_threads(1)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.cpu = torch.device("cpu")

    def batches(self, steps: int) -> Batches:
        return Batches([(1.0, drawn(64, 1))], 4, 3, steps, ((64, 64),))

    def test_resumed_equals_unbroken(self) -> None:
        whole = train(self.folder / "whole", self.batches(6), "tiny", 6, 0, self.cpu, 0)
        train(self.folder / "broken", self.batches(6), "tiny", 3, 0, self.cpu, 0)
        resumed = train(self.folder / "broken", self.batches(6), "tiny", 6, 0, self.cpu, 0)
        for name, value in whole.state_dict().items():
            self.assertTrue(torch.equal(value, resumed.state_dict()[name]), name)

    def test_two_processes_step_with_the_mean_of_their_gradients(self) -> None:
        meeting, children = self.folder / "meeting", []
        for rank in range(2):
            child = os.fork()
            if child == 0:
                torch.distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
                train(self.folder / f"run{rank}", self.of_rank(rank), "tiny", 1, 0, self.cpu, 0)
                os._exit(0)
            children.append(child)
        self.assertEqual([os.waitpid(child, 0)[1] for child in children], [0, 0])
        torch.manual_seed(3)
        net = ResIdent(SIZES["tiny"]).to(memory_format=torch.channels_last).train()
        rule = optimiser(net, RATE * rate_at(0, None, 0))
        for rank in range(2):
            images, targets = self.of_rank(rank)[0]
            with torch.autocast("cpu", torch.bfloat16):
                raw = net(on_device(images, self.cpu, None))
            (losses(raw, targets, 64, 64).total / 2).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        rule.step()
        led = torch.load(self.folder / "run0" / "last.pt")["net"]
        for name, value in net.named_parameters():
            torch.testing.assert_close(led[name], value.data, msg=name)

    def of_rank(self, rank: int) -> Batches:
        """What a process of that rank sees; the seed of the first is the seed of the weights."""
        return Batches([(1.0, drawn(16, 1))], 2, 3 + 1000 * rank, 1, ((64, 64),))

    def test_the_rate_warms_holds_and_cools(self) -> None:
        self.assertLess(rate_at(0, None, 0), 0.01)
        self.assertEqual(rate_at(10_000, None, 0), 1.0)
        self.assertEqual(rate_at(10_050, 10_000, 100), 0.5)
        self.assertEqual(rate_at(10_100, 10_000, 100), 0.0)
        self.assertLess(rate_in_time(0, 0.0), 0.01)
        self.assertEqual(rate_in_time(10_000, 0.2), 1.0)
        self.assertLess(rate_in_time(10_000, 0.9), 0.2)
        self.assertEqual(rate_in_time(10_000, 1.0), 0.0)

    def test_a_training_within_a_time_ends_cooled(self) -> None:
        train(self.folder / "timed", self.batches(100_000), "tiny", 100_000, 0, self.cpu, 0, seconds=3.0)
        state = torch.load(self.folder / "timed" / "cooled.pt")
        self.assertGreater(state["step"], 3)

    def test_it_learns_and_the_export_says_the_same(self) -> None:
        with mock.patch.multiple("resident.train", WARM_UP=20, AVERAGE=0.97):
            train(self.folder / "run", self.batches(300), "tiny", 240, 0, self.cpu, 0, rate=5e-3)
            net = train(self.folder / "run", self.batches(300), "tiny", 240, 60, self.cpu, 0, rate=5e-3)
        hits = 0
        fresh = drawn(40, 99)
        images = torch.stack([torch.from_numpy(p.rgb).permute(2, 0, 1) for p in fresh]).float() / 255
        with torch.no_grad():
            raw = net(images)
        for picture, scores, boxes in zip(fresh, raw.one_logits.sigmoid() * raw.many_logits.sigmoid(), raw.many_boxes):
            at = scores.amax(-1).argmax()
            right = int(scores[at].argmax()) == picture.labels[0]
            hits += right and intersection_over_union(boxes[at], torch.from_numpy(picture.boxes[0])).item() > 0.3
        self.assertGreaterEqual(hits, 20, "of 40 fresh pictures, where chance is below one")

        missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
        if missing:
            print(f"SKIPPED: the exported file is not compared, Python has no {' and no '.join(missing)}")
            return
        import onnxruntime

        saved, step = restored(self.folder / "run" / "cooled.pt")
        self.assertEqual(step, 300)
        saved.calibration = (1.3, -0.4)
        path = self.folder / "tiny.onnx"
        export(saved, path, metadata("tiny", "test"))
        again = restore(path, "tiny", [torch.rand(4, 3, 64, 96), images[:8]])
        with torch.no_grad():
            before, after = (net.eval()(images) for net in (saved, again))
        odds = lambda raw: (raw.one_logits + raw.many_logits) / 2
        self.assertLess(((odds(before) * 1.3 - 0.4).sigmoid() - odds(after).sigmoid()).abs().max().item(), 1e-3)
        self.assertLess((before.many_boxes - after.many_boxes).abs().max().item(), 0.05)
        self.assertLess((before.embeddings - after.embeddings).abs().max().item(), 0.01)
        self.assertTrue(all((p.grad is None) and p.requires_grad for p in again.parameters()))
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.assertEqual(session.get_modelmeta().custom_metadata_map["head"], "resident")
        for batch, height, width in ((1, 288, 512), (2, 320, 352)):
            images = torch.rand(batch, 3, height, width)
            boxes, scores, embeddings = session.run(None, {"images": images.numpy()})
            with torch.no_grad():
                raw = saved(images)
            self.assertEqual((boxes.shape[1:], scores.shape[2], embeddings.shape[2]), ((300, 4), len(CLASSES), 16))
            for row in range(batch):
                self.assert_says_the_same(raw, row, torch.from_numpy(boxes[row]), torch.from_numpy(scores[row]))
            np.testing.assert_allclose(np.linalg.norm(embeddings, axis=-1), 1.0, atol=1e-4)

    def assert_says_the_same(self, raw: Raw, row: int, boxes: Tensor, scores: Tensor) -> None:
        """Every exported row [300, 4 and C] of one picture is one of the best locations, with the mean of the boxes
        that are the same as its own; those without score were found before."""
        odds = (raw.one_logits[row] + raw.many_logits[row]) / 2 * 1.3 - 0.4
        best = odds.amax(-1).topk(300).indices
        own, told = raw.many_boxes[row][best], odds[best].sigmoid()
        overlap = intersection_over_union(own[:, None], own)
        means = torch.stack([mean_of_same(box, own, told.amax(-1)) for box in own])
        self.assertGreater((means - own).abs().max().item(), 0.5, "some are found several times")
        stays = scores.amax(-1) > 0
        self.assertTrue(stays[0] and not stays.all())
        is_place = torch.cdist(boxes, means) < 0.5
        self.assertTrue(is_place.any(1).all())
        # Of several with the same mean, the one that says the same of the classes; the order of equal scores is free.
        differs = torch.where(is_place, (told[None] - scores[:, None]).abs().amax(-1), torch.inf)
        self.assertLess(differs[stays].amin(1).max().item(), 0.005)
        which = differs.argmin(1)
        # Of a chain of boxes, each the same as the next, two rounds may leave one too many or too few.
        kept = overlap[which[stays]][:, which[stays]] - torch.eye(int(stays.sum()))
        self.assertLess((kept > SAME + 0.001).any(1).float().mean().item(), 0.05)
        gone = ~torch.isin(torch.arange(300), which[stays])
        earlier = which[stays] < torch.arange(300)[:, None]
        covered = (earlier & (overlap[:, which[stays]] > SAME - 0.001)).any(1)
        self.assertGreater(covered[gone].float().mean().item(), 0.95)

    def test_what_is_found_several_times_becomes_one(self) -> None:
        # IoU 9/11 of the first two; the third stands alone, the fourth too and is hardly anything.
        boxes = torch.tensor([[[100.25, 40, 200.25, 80], [110.25, 40, 210.25, 80], [400, 40, 500, 80], [700, 40, 800, 80]]])
        mean, stays = settled(boxes, torch.tensor([[0.8, 0.4, 0.3, 1e-5]]))
        self.assertEqual(stays.tolist(), [[1, 0, 1, 1]])
        # Weights 0.64 and 0.16: a fifth of the 10 px between them.
        torch.testing.assert_close(mean[0, 0], torch.tensor([102.25, 40, 202.25, 80]))
        torch.testing.assert_close(mean[0, 2:], boxes[0, 2:])
        # A chain, each the same as the next alone (IoU 2/3): the first and the third stay.
        chain = torch.tensor([[[x, 0.0, x + 100, 100] for x in (0.0, 20.0, 40.0)]])
        self.assertEqual(settled(chain, torch.tensor([[0.9, 0.8, 0.7]]))[1].tolist(), [[1, 0, 1]])
        nothing = torch.tensor([[[5.0, 5.0, 5.0, 5.0]]])
        torch.testing.assert_close(settled(nothing, torch.tensor([[0.5]]))[0], nothing)

    def test_a_file_of_another_kind_is_told(self) -> None:
        with self.assertRaisesRegex(ValueError, "no scores.weight: it is no resident, or exported by an older version"):
            fill(ResIdent(SIZES["tiny"]), {})

    def test_a_blend_lies_between_both_and_mixes_no_two_networks(self) -> None:
        begin, end = (ResIdent(SIZES["tiny"]).state_dict() for _ in range(2))
        for name, weights in (("begin", begin), ("end", end)):
            save(self.folder / f"{name}.pt", average=weights, step=7, size="tiny")
        files = [str(self.folder / f"{name}.pt") for name in ("begin", "end", "mixed")]
        with mock.patch("sys.argv", ["blend", *files]):
            blend_main()
        mixed, step = restored(self.folder / "mixed.pt")
        self.assertEqual(step, 7)
        name = "score_tower.0.1.weight"
        torch.testing.assert_close(mixed.state_dict()[name], 0.3 * begin[name] + 0.7 * end[name])
        with self.assertRaisesRegex(ValueError, "different networks"):
            blend(begin, ResIdent(SIZES["n"]).state_dict(), 0.7)


if __name__ == "__main__":
    unittest.main()
