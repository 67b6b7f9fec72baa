//! What became of the files on the disk, for exposition.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::RoomLevel;

/// Why a file was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeleteReason {
    /// Older than what is kept.
    Age,
    /// More is stored than may be.
    Size,
    /// The disk has too little room.
    Space,
}

impl DeleteReason {
    /// The name used in metrics and the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Size => "size",
            Self::Space => "space",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

/// Counters of the disk that results and recordings are on.
#[derive(Debug, Default)]
pub struct DiskMetrics {
    deleted_files: Family<ReasonLabel, Counter>,
    deleted_bytes: Family<ReasonLabel, Counter>,
    delete_failures: Counter,
    stored_bytes: Gauge,
    free_bytes: Gauge,
    recording_pauses: Counter,
    recording_paused: Gauge,
    results_paused: Gauge,
}

impl DiskMetrics {
    /// Fresh counters, all 0, in `registry`.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "retention_deleted_files",
            "Recordings and results that were deleted, by reason",
            metrics.deleted_files.clone(),
        );
        registry.register(
            "retention_deleted_bytes",
            "Bytes of recordings and results that were deleted, by reason",
            metrics.deleted_bytes.clone(),
        );
        registry.register(
            "retention_failures",
            "Files that could not be deleted",
            metrics.delete_failures.clone(),
        );
        registry.register(
            "stored_bytes",
            "Bytes of recordings and results on the disk",
            metrics.stored_bytes.clone(),
        );
        registry.register(
            "disk_free_bytes",
            "Room on the disk of the output folder",
            metrics.free_bytes.clone(),
        );
        registry.register(
            "recording_pauses",
            "Times that recording stopped for want of room",
            metrics.recording_pauses.clone(),
        );
        registry.register(
            "recording_paused",
            "1 while nothing is recorded for want of room, else 0",
            metrics.recording_paused.clone(),
        );
        registry.register(
            "results_paused",
            "1 while results are not written for want of room, else 0",
            metrics.results_paused.clone(),
        );
        metrics
    }

    /// Counts a deleted file.
    pub fn deleted(&self, reason: DeleteReason, bytes: u64) {
        let label = reason_label(reason);
        self.deleted_files.get_or_create(&label).inc();
        self.deleted_bytes.get_or_create(&label).inc_by(bytes);
    }

    /// Files and bytes deleted so far for this reason.
    #[must_use]
    pub fn deleted_so_far(&self, reason: DeleteReason) -> (u64, u64) {
        let label = reason_label(reason);
        let files = self.deleted_files.get_or_create(&label).get();
        (files, self.deleted_bytes.get_or_create(&label).get())
    }

    /// Counts a file that could not be deleted.
    pub fn delete_failed(&self) {
        self.delete_failures.inc();
    }

    /// Bytes of recordings and results now.
    pub fn stored(&self, bytes: u64) {
        self.stored_bytes.set(signed(bytes));
    }

    /// Room on the disk now.
    pub fn free(&self, bytes: u64) {
        self.free_bytes.set(signed(bytes));
    }

    /// Who may write from now on.
    pub fn room(&self, level: RoomLevel) {
        let is_paused = level < RoomLevel::Enough;
        if is_paused && self.recording_paused.get() == 0 {
            self.recording_pauses.inc();
        }
        self.recording_paused.set(is_paused.into());
        self.results_paused
            .set((level == RoomLevel::EventsOnly).into());
    }
}

fn reason_label(reason: DeleteReason) -> ReasonLabel {
    ReasonLabel {
        reason: reason.as_str(),
    }
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
