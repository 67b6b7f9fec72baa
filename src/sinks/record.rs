//! Pictures → encoded files: segments that play after a crash, each with its sidecar.
