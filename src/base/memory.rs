//! What the allocator of the process knows: jemalloc, also for what GStreamer and ONNX Runtime ask for.

use tikv_jemalloc_ctl::{epoch, stats};

/// Bytes that the process asked for and has not given back; `None` where the allocator does not tell.
#[must_use]
pub fn allocated_bytes() -> Option<u64> {
    epoch::advance().ok()?;
    u64::try_from(stats::allocated::read().ok()?).ok()
}
