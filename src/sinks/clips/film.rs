//! One MP4 file that takes packets as they are.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::base::{Packet, PipelineText};

const TEXT: &str = include_str!("../../../pipelines/clip-mp4.gst");

/// How long the only picture of a film is shown.
const USUAL_INTERVAL_NS: u64 = 40_000_000;

/// How long the last picture of a film is shown at most.
const LONGEST_LAST_NS: u64 = 1_000_000_000;

/// What became of the end of a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FilmEnd {
    /// It is complete.
    Done,
    /// It could not be written.
    Failed(String),
}

/// A film that is being written.
pub(super) struct Film {
    pipeline: gst::Pipeline,
    source: gst_app::AppSrc,
    end: Arc<Mutex<Option<FilmEnd>>>,
    start_ns: u64,
    last_decode_ns: Option<u64>,
    pub pictures: u64,
    pub bytes: u64,
    /// When its last picture is shown, running time of the connection.
    pub last_ns: u64,
}

impl Drop for Film {
    fn drop(&mut self) {
        // Joins the streaming threads; a pipeline dropped while playing would leak them.
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            tracing::debug!(%error, "clip pipeline does not stop cleanly");
        }
    }
}

impl Film {
    /// A film at `path` whose 0 is `start_ns`; what its packets are is told by `format`.
    ///
    /// # Errors
    /// In words, if the pipeline does not start.
    pub(super) fn begin(path: &Path, start_ns: u64, format: &str) -> Result<Self, String> {
        gst::init().map_err(|error| format!("GStreamer does not start: {error}"))?;
        let text = PipelineText::new("clip-mp4.gst", TEXT)
            .fill(&[])
            .map_err(|error| error.to_string())?;
        let pipeline = gst::parse::launch(&text)
            .map_err(|error| error.to_string())?
            .downcast::<gst::Pipeline>()
            .map_err(|_other| "clip-mp4.gst is not a pipeline".to_owned())?;
        let source = pipeline
            .by_name("packets")
            .and_then(|source| source.downcast::<gst_app::AppSrc>().ok())
            .ok_or("clip-mp4.gst has no appsrc named packets")?;
        let caps: gst::Caps = format
            .parse()
            .map_err(|_words| format!("not the words of caps: {format}"))?;
        source.set_caps(Some(&caps));
        let location = path
            .to_str()
            .ok_or_else(|| format!("{} is not UTF-8", path.display()))?;
        pipeline
            .by_name("file")
            .ok_or("clip-mp4.gst has no element named file")?
            .set_property("location", location);
        let end = Arc::<Mutex<Option<FilmEnd>>>::default();
        let told = Arc::clone(&end);
        let bus = pipeline.bus().ok_or("the pipeline has no bus")?;
        bus.set_sync_handler(move |_, message| {
            let seen = match message.view() {
                gst::MessageView::Error(error) => Some(FilmEnd::Failed(error.error().to_string())),
                gst::MessageView::Eos(_) => Some(FilmEnd::Done),
                _ => None,
            };
            if let Some(seen) = seen {
                // The first is the cause of all others.
                let mut end = told.lock().unwrap_or_else(PoisonError::into_inner);
                end.get_or_insert(seen);
            }
            gst::BusSyncReply::Drop
        });
        let film = Self {
            pipeline,
            source,
            end,
            start_ns,
            last_decode_ns: None,
            pictures: 0,
            bytes: 0,
            last_ns: start_ns,
        };
        if film.pipeline.set_state(gst::State::Playing).is_err() {
            let why = match film.end() {
                Some(FilmEnd::Failed(why)) => why,
                _ => "it does not start".to_owned(),
            };
            return Err(why);
        }
        Ok(film)
    }

    /// Hands a packet to the file; does not wait. One that is shown before the film begins (it
    /// belongs to the group before) is left out.
    ///
    /// # Errors
    /// In words, if the pipeline takes no more.
    pub(super) fn push(&mut self, packet: &Packet) -> Result<(), String> {
        let shifted = |ns: u64| {
            ns.checked_sub(self.start_ns)
                .map(gst::ClockTime::from_nseconds)
        };
        let (Some(pts), Some(dts)) = (shifted(packet.time_ns), shifted(packet.decode_ns)) else {
            return Ok(());
        };
        // Only for the last picture does it matter, all others last until the next one.
        let interval = self.last_decode_ns.map_or(USUAL_INTERVAL_NS, |last| {
            packet
                .decode_ns
                .saturating_sub(last)
                .clamp(1, LONGEST_LAST_NS)
        });
        let mut buffer = gst::Buffer::from_slice(Arc::clone(&packet.data));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_dts(dts);
            buffer.set_duration(gst::ClockTime::from_nseconds(interval));
            if !packet.is_key {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.source
            .push_buffer(buffer)
            .map_err(|error| match self.end() {
                Some(FilmEnd::Failed(why)) => why,
                _ => format!("the pipeline takes no more packets ({error})"),
            })?;
        self.last_decode_ns = Some(packet.decode_ns);
        self.pictures += 1;
        self.bytes += packet.data.len() as u64;
        self.last_ns = self.last_ns.max(packet.time_ns);
        Ok(())
    }

    /// Bytes that wait for the disk.
    pub(super) fn waiting(&self) -> u64 {
        self.source.current_level_bytes()
    }

    /// No more packets come; [`Film::end`] tells when the file is complete.
    pub(super) fn finish(&self) {
        if let Err(error) = self.source.end_of_stream() {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            end.get_or_insert(FilmEnd::Failed(format!("ending the file: {error}")));
        }
    }

    /// How it ended, once it has.
    pub(super) fn end(&self) -> Option<FilmEnd> {
        let end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        end.clone()
    }
}
