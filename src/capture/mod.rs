//! Source → decode → frame. Knows GStreamer; knows nothing of models and tracks.
