//! Boxes, ids and trails onto a copy of the picture, in its own YUV planes.
