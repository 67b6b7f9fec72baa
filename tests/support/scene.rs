//! Made-up pictures with moving objects, for tests and benches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use gantryd::base::{
    BBox, CameraId, ClassId, ColorMatrix, ColorRange, Frame, FrameMeta, FrameResult, FrameSeq,
    OwnedPlanes, PixelFormat, Pixels, Pts, RunId, Size, Timings, TrackId, TrackSnapshot,
    TrackState, UtcNanos, UtcSource,
};

/// Bytes after the picture in each row, to prove that strides are honoured.
const ROW_PADDING: usize = 24;

/// What the pictures are like.
#[derive(Debug, Clone)]
pub struct Scene {
    pub size: Size,
    pub format: PixelFormat,
    pub tracks: u32,
    pub run: RunId,
}

impl Scene {
    pub fn new(width: u32, height: u32, format: PixelFormat) -> Self {
        Self {
            size: Size { width, height },
            format,
            tracks: 5,
            run: RunId(1),
        }
    }

    /// A grey ramp whose brightness changes from frame to frame.
    pub fn pixels(&self, seq: u64) -> Pixels {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let plane = |row_bytes: usize, rows: usize, value: &dyn Fn(usize, usize) -> u8| {
            let stride = row_bytes + ROW_PADDING;
            let mut data = vec![0; stride * rows];
            for y in 0..rows {
                for x in 0..row_bytes {
                    data[y * stride + x] = value(x, y);
                }
            }
            (data, stride)
        };
        let step = seq as usize;
        let luma = plane(width, height, &|x, y| {
            (60 + (x / 8 + y / 8 + step) % 90) as u8
        });
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = match self.format {
            PixelFormat::Nv12 => vec![luma, plane(half_width * 2, half_height, &|_, _| 128)],
            PixelFormat::I420 => vec![
                luma,
                plane(half_width, half_height, &|_, _| 128),
                plane(half_width, half_height, &|_, _| 128),
            ],
        };
        Pixels {
            format: self.format,
            matrix: ColorMatrix::Bt709,
            range: ColorRange::Limited,
            planes: Arc::new(OwnedPlanes(planes)),
        }
    }

    /// Tracks spread over the picture, moving to and fro.
    pub fn tracks(&self, seq: u64, pts: Pts) -> Vec<TrackSnapshot> {
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        let side = height / 8.0;
        (0..self.tracks)
            .filter_map(|index| {
                let lane = index as f32 / self.tracks as f32;
                let cx = (lane * 1.7).fract() * width + seq as f32 * width / 400.0;
                let cy = height * (0.15 + 0.8 * lane);
                let bbox = BBox::from_cxcywh(
                    width - (cx % (2.0 * width) - width).abs(),
                    cy,
                    side * 1.4,
                    side,
                )?;
                Some(TrackSnapshot {
                    id: TrackId(u64::from(index) + 1),
                    class: ClassId((index % 3) as u16),
                    class_share: 1.0,
                    confidence: 0.5 + 0.4 * lane,
                    bbox,
                    velocity: [width / 16.0, 0.0],
                    state: if index % 5 == 4 {
                        TrackState::Coasting
                    } else {
                        TrackState::Confirmed
                    },
                    first_seen: Pts(0),
                    last_seen: pts,
                    is_presumed: false,
                    before_run: std::time::Duration::ZERO,
                })
            })
            .collect()
    }

    /// A result with its picture.
    pub fn result(&self, seq: u64, pts: Pts) -> FrameResult {
        let meta = FrameMeta {
            camera: CameraId::new("gate"),
            run: self.run,
            seq: FrameSeq(seq),
            pts,
            // 1700000000 s = 2023-11-14T22:13:20Z.
            utc: Some(UtcNanos(1_700_000_000_000_000_000 + pts.0 as i64)),
            utc_source: UtcSource::Media,
            size: self.size,
        };
        let frame = Frame {
            meta: meta.clone(),
            pixels: self.pixels(seq),
            arrived: Instant::now(),
        };
        FrameResult {
            tracks: self.tracks(seq, pts),
            meta,
            is_detected: true,
            detections: self.tracks as usize,
            counts: None,
            decisions: None,
            private: Vec::new(),
            ended: Vec::new(),
            timings: Timings {
                inference: Duration::from_millis(7),
                ..Timings::default()
            },
            frame: Some(Arc::new(frame)),
        }
    }
}

/// Names for the classes the tracks have.
pub fn classes() -> Arc<[String]> {
    ["car", "person", "bicycle"].map(str::to_owned).into()
}
