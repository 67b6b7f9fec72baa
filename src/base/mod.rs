//! Words every stage may use: boxes, frames, identities, time, results, and the edges between stages.
//!
//! Belongs here: a type that two stages exchange. Does not belong here: anything that knows
//! GStreamer, ONNX Runtime or the configuration file, and helpers that one stage alone needs.

mod bbox;
mod causes;
mod clip_metrics;
mod clock;
mod config_metrics;
mod decision;
mod desk;
mod detector_metrics;
mod disk_metrics;
mod disk_room;
mod embedding;
mod event;
mod flight;
mod frame;
mod gpu_use;
mod ids;
mod inbox;
mod login_metrics;
mod look_metrics;
mod memory;
mod metrics;
mod packets;
mod pipelines;
mod process_metrics;
mod result;
mod secret;
mod sink_metrics;
mod state_metrics;
mod stop;
mod stream_clock;
mod video_metrics;
mod worker;
mod zone_metrics;

pub use bbox::BBox;
pub use causes::causes;
pub use clip_metrics::{ClipLoss, ClipMetrics};
pub use clock::{Pts, StageTimer, UtcNanos, thread_cpu_time, utc_now};
pub use config_metrics::{ChangeOutcome, ConfigMetrics};
pub use decision::{
    AffinityParts, Birth, CameraMotion, Choice, Covered, DecisionLimits, FrameDecisions,
    IdentityChange, Refusal, RefusalReason, SeenBox, TrackDecision, TrackName,
};
pub use desk::{ConfigChanges, ConfigDesk, ConfigRefusal, ConfigText, PasswordFile};
pub use detector_metrics::DetectorMetrics;
pub use disk_metrics::{DeleteReason, DiskMetrics};
pub use disk_room::{DiskRoom, RoomLevel};
pub use embedding::Embedding;
pub use event::{
    Direction, Event, EventKind, LineCount, ObjectTrace, PathPoint, Phase, SceneCounts, Speed,
    SpeedUnit, ZoneCount,
};
pub use flight::{Balance, Flight};
pub use frame::{
    Captured, ColorMatrix, ColorRange, Frame, FrameMeta, FromCamera, OwnedPlanes, PixelFormat,
    Pixels, Plane, Planes, RunEnd, Size, UtcSource,
};
pub use gpu_use::GpuUse;
pub use ids::{CameraId, ClassId, FrameSeq, RunId, TrackId};
pub use inbox::{Inbox, Lane, Route, Taken};
pub use login_metrics::{LoginMetrics, LoginOutcome};
pub use look_metrics::{LookMetrics, LookReason, Looks};
pub use memory::allocated_bytes;
pub use metrics::{DropReason, Metrics, Stage, StageStats};
pub use packets::{Bell, FilmStart, NewPackets, Packet, PacketRing, SentStream};
pub use pipelines::{PipelineText, PipelineTextError};
pub use process_metrics::ProcessUse;
pub use result::{
    Detection, EndReason, EndedTrack, FrameResult, Pictured, Recorded, Timings, TrackSnapshot,
    TrackState,
};
pub use secret::{
    REDACTED, Secret, UriError, UriParts, hidden_words, redact_text, redact_uri, split_credentials,
};
pub use sink_metrics::{SinkMetrics, SinkState, SinkStep};
pub use state_metrics::StateMetrics;
pub use stop::{Stop, StopSource};
pub use stream_clock::{RawPlace, RawSegment, StreamClock, StreamTime};
pub use video_metrics::{VideoEnd, VideoGap, VideoMetrics};
pub use worker::{Worker, WorkerEnd};
pub use zone_metrics::ZoneMetrics;
