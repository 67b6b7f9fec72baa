"""The classes, in the order of the network's outputs, and how other label sets map onto them."""

CLASSES = ("person", "bicycle", "motorcycle", "car", "van", "truck", "bus", "forklift")
INDEX = {name: i for i, name in enumerate(CLASSES)}

# COCO-80 index -> class. COCO has no van (it says car or truck) and no forklift (it says truck).
FROM_COCO = {0: 0, 1: 1, 2: 3, 3: 2, 5: 6, 7: 5}
COCO_KNOWS = frozenset(FROM_COCO.values())

# Names in label files -> class. A rider with the machine under one box stands for the machine.
FROM_NAME = {
    "person": "person",
    "bicycle": "bicycle",
    "cyclist": "bicycle",
    "motorcycle": "motorcycle",
    "motorcycle_rider": "motorcycle",
    "bicycle_or_motorcycle": "motorcycle",
    "car": "car",
    "ambulance": "van",
    "truck": "truck",
    "bus": "bus",
    "forklift": "forklift",
}

# A box that is only called "vehicle": the teacher says which, a car where it says nothing.
UNTYPED = "vehicle"
VEHICLES = frozenset(INDEX[name] for name in ("car", "van", "truck", "bus"))
