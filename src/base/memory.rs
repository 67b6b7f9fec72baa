//! What the allocator of the process knows: jemalloc, also for what GStreamer and ONNX Runtime ask for.

use tikv_jemalloc_ctl::{epoch, stats};

/// Bytes that the process asked for and has not given back; `None` where the allocator does not tell.
#[must_use]
pub fn allocated_bytes() -> Option<u64> {
    epoch::advance().ok()?;
    u64::try_from(stats::allocated::read().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use gstreamer as gst;

    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn what_gstreamer_asks_for_comes_from_the_same_allocator() {
        gst::init().unwrap();
        // Other tests of this program come and go beside this one; none of them takes so much.
        let before = allocated_bytes().unwrap();
        let buffer = gst::Buffer::with_size(512 * MIB).unwrap();
        let with = allocated_bytes().unwrap();
        drop(buffer);
        let after = allocated_bytes().unwrap();
        let half = 256 * MIB as u64;
        assert!(with > before + half, "{before} {with}");
        assert!(after + half < with, "{with} {after}");
    }
}
