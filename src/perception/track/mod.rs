//! Detections → tracks: predict → associate → update → birth and death.
