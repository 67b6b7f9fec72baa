//! Pictures of the moments of a track, side by side.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};

use super::error::ExplainError;
use super::story::{Moment, MomentKind};
use crate::base::{
    CameraId, Captured, ColorMatrix, ColorRange, Frame, FromCamera, Inbox, Metrics, PixelFormat,
    StopSource, Worker,
};
use crate::capture::{self, CameraOptions, Source};

/// Pictures in a strip at most; close calls are left out first.
const MAX_PICTURES: usize = 16;
/// Side of a picture, px.
const SIDE: u32 = 200;
/// Between pictures, px.
const GAP: u32 = 4;
/// How much of the surroundings a picture shows: its side by the longer side of the box.
const SURROUNDINGS: f64 = 1.6;
/// Least part of the frame shown, px.
const LEAST_PX: f64 = 24.0;
/// Width of the line around the box, px.
const LINE: i64 = 2;
/// Colour of the box of a track that was seen.
const SEEN: Rgb<u8> = Rgb([80, 220, 100]);
/// Colour of where it was expected and not seen.
const UNSEEN: Rgb<u8> = Rgb([240, 90, 70]);
/// Time for the decoder's thread to end.
const FINISH_WITHIN: Duration = Duration::from_secs(10);

/// Which moments are shown, by their places in `moments`, in their order.
pub(super) fn chosen(moments: &[Moment]) -> Vec<usize> {
    let is_close = |place: &usize| moments[*place].kind == MomentKind::Close;
    let shown = (0..moments.len()).filter(|&place| moments[place].box_px.is_some());
    let (close, mut chosen): (Vec<usize>, Vec<usize>) = shown.partition(is_close);
    chosen.truncate(MAX_PICTURES);
    let free = MAX_PICTURES - chosen.len();
    chosen.extend(close.into_iter().take(free));
    chosen.sort_unstable();
    chosen
}

/// Cuts the chosen moments out of the video and writes them side by side. `first_frame` is the number
/// that the log gives to the video's first frame.
pub(super) fn write(
    video: &Path,
    strip: &Path,
    moments: &[&Moment],
    first_frame: u64,
) -> Result<(), ExplainError> {
    // Several moments can be of one frame.
    let mut wanted: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (place, moment) in moments.iter().enumerate() {
        let number = moment.best_frame.saturating_sub(first_frame);
        wanted.entry(number).or_default().push(place);
    }
    let count = u32::try_from(moments.len()).unwrap_or(u32::MAX).max(1);
    let mut sheet = RgbImage::new(count * (SIDE + GAP) - GAP, SIDE);
    let last = wanted.keys().next_back().copied().unwrap_or_default();
    let seen = frames_until(video, last, |number, frame| {
        for &place in wanted.get(&number).into_iter().flatten() {
            if let Some(bbox) = moments[place].box_px {
                let left = u32::try_from(place).unwrap_or_default() * (SIDE + GAP);
                paint(&mut sheet, left, frame, bbox, color_of(moments[place].kind));
            }
        }
    })?;
    if seen <= last {
        return Err(ExplainError::ShortVideo {
            video: video.to_owned(),
            frames: seen,
            frame: last + first_frame,
        });
    }
    sheet.save(strip).map_err(|source| ExplainError::Strip {
        path: strip.to_owned(),
        source,
    })
}

/// Shows every frame of a file up to number `last`, counted from 0; answers how many there were.
fn frames_until(
    video: &Path,
    last: u64,
    mut show: impl FnMut(u64, &Frame),
) -> Result<u64, ExplainError> {
    let failed = |source| ExplainError::Video {
        video: video.to_owned(),
        source,
    };
    let source =
        Source::parse(&video.to_string_lossy()).map_err(|error| ExplainError::NoVideo {
            video: video.to_owned(),
            error,
        })?;
    let mut options = CameraOptions::new(CameraId::new("video"), source);
    options.max_frames = Some(last + 1);
    options.give_up_unseen = true;
    let inbox = Arc::new(Inbox::new(1));
    let stop = StopSource::default();
    let (closing, on_panic) = (Arc::clone(&inbox), Arc::clone(&inbox));
    let camera = capture::start(
        options,
        Arc::clone(&inbox),
        0,
        Metrics::new(),
        stop.stop_flag(),
        move |_| on_panic.close(),
    )
    .map_err(failed)?;
    let ended = camera.ended;
    let (report, end) = crossbeam_channel::bounded(1);
    let conduct = move || {
        // A full or closed channel: nobody waits for the report any more.
        drop(report.try_send(ended.recv()));
        closing.close();
    };
    let name = "conductor".to_owned();
    let conductor = Worker::spawn(name.clone(), conduct, |_| {})
        .map_err(|source| failed(capture::CaptureError::Thread { name, source }))?;
    let mut seen = 0;
    while let Some(taken) = inbox.take(1) {
        for item in taken {
            if let FromCamera::Frame(Captured { frame, flight }) = item.item {
                show(frame.meta.seq.0, &frame);
                seen = frame.meta.seq.0 + 1;
                flight.processed();
            }
            inbox.done(item.slot);
        }
    }
    let deadline = Instant::now() + FINISH_WITHIN;
    for worker in [camera.worker, conductor] {
        let thread = worker.name().to_owned();
        let end = worker.join_until(deadline);
        tracing::debug!(thread, ?end, "the video is read");
    }
    match end.try_recv() {
        Ok(Ok(end)) if seen <= last => end.error.map_or(Ok(seen), |error| Err(failed(error))),
        _ => Ok(seen),
    }
}

fn color_of(kind: MomentKind) -> Rgb<u8> {
    match kind {
        MomentKind::Coasted | MomentKind::Dormant | MomentKind::Ended => UNSEEN,
        _ => SEEN,
    }
}

/// Paints the surroundings of a box, and the box, into the square that begins at `left`.
fn paint(sheet: &mut RgbImage, left: u32, frame: &Frame, bbox: [f64; 4], color: Rgb<u8>) {
    let [l, t, r, b] = bbox;
    let side = ((r - l).max(b - t) * SURROUNDINGS).max(LEAST_PX);
    let corner = [(l + r - side) / 2.0, (t + b - side) / 2.0];
    let scale = side / f64::from(SIDE);
    let mut put = |x: i64, y: i64, color: Rgb<u8>| {
        if let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y))
            && x < SIDE
            && y < SIDE
        {
            sheet.put_pixel(left + x, y, color);
        }
    };
    for y in 0..i64::from(SIDE) {
        for x in 0..i64::from(SIDE) {
            let at = |corner: f64, place: i64| corner + (place as f64 + 0.5) * scale;
            if let Some(color) = pixel(frame, at(corner[0], x), at(corner[1], y)) {
                put(x, y, color);
            }
        }
    }
    let edge = |value: f64, corner: f64| ((value - corner) / scale).round() as i64;
    let (l, r) = (edge(l, corner[0]), edge(r, corner[0]));
    let (t, b) = (edge(t, corner[1]), edge(b, corner[1]));
    for line in 0..LINE {
        for x in l..=r {
            put(x, t + line, color);
            put(x, b - line, color);
        }
        for y in t..=b {
            put(l + line, y, color);
            put(r - line, y, color);
        }
    }
}

/// The colour of the frame at a place, px; `None` outside.
fn pixel(frame: &Frame, x: f64, y: f64) -> Option<Rgb<u8>> {
    let size = frame.meta.size;
    let is_inside = x >= 0.0 && y >= 0.0 && x < f64::from(size.width) && y < f64::from(size.height);
    if !is_inside {
        return None;
    }
    let (x, y) = (x as usize, y as usize);
    let pixels = &frame.pixels;
    let sample = |plane: usize, x: usize, y: usize| {
        let plane = pixels.planes.plane(plane);
        plane.data.get(y * plane.stride + x).copied()
    };
    let luma = sample(0, x, y)?;
    let (u, v) = match pixels.format {
        PixelFormat::Nv12 => (
            sample(1, x / 2 * 2, y / 2)?,
            sample(1, x / 2 * 2 + 1, y / 2)?,
        ),
        PixelFormat::I420 => (sample(1, x / 2, y / 2)?, sample(2, x / 2, y / 2)?),
    };
    Some(rgb([luma, u, v], pixels.matrix, pixels.range))
}

/// Y'CbCr to R'G'B'. Source: ITU-R BT.601-7 and BT.709-6.
fn rgb([y, u, v]: [u8; 3], matrix: ColorMatrix, range: ColorRange) -> Rgb<u8> {
    let (kr, kb) = match matrix {
        ColorMatrix::Bt601 => (0.299, 0.114),
        ColorMatrix::Bt709 => (0.2126, 0.0722),
    };
    let (y, chroma) = match range {
        ColorRange::Limited => ((f32::from(y) - 16.0) / 219.0, 224.0),
        ColorRange::Full => (f32::from(y) / 255.0, 255.0),
    };
    let [cb, cr] = [u, v].map(|part| (f32::from(part) - 128.0) / chroma);
    let r = y + 2.0 * (1.0 - kr) * cr;
    let b = y + 2.0 * (1.0 - kb) * cb;
    let g = (y - kr * r - kb * b) / (1.0 - kr - kb);
    Rgb([r, g, b].map(|part: f32| (part * 255.0).round().clamp(0.0, 255.0) as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_colours_come_out_as_themselves() {
        use ColorMatrix::{Bt601, Bt709};
        use ColorRange::{Full, Limited};
        assert_eq!(rgb([235, 128, 128], Bt709, Limited), Rgb([255; 3]));
        assert_eq!(rgb([16, 128, 128], Bt601, Limited), Rgb([0; 3]));
        // Pure red: Y = 0.299, Cb = -0.299 / 1.772, Cr = 0.5.
        assert_eq!(rgb([76, 85, 255], Bt601, Full), Rgb([254, 0, 0]));
    }

    #[test]
    fn close_calls_give_way_when_there_are_too_many() {
        let moment = |kind| Moment {
            kind,
            frame: 1,
            to_frame: 1,
            pts_ns: 0,
            best_frame: 1,
            box_px: Some([0.0, 0.0, 9.0, 9.0]),
            text: String::new(),
        };
        let mut moments: Vec<Moment> = (0..MAX_PICTURES)
            .map(|_| moment(MomentKind::Close))
            .collect();
        moments.push(moment(MomentKind::Coasted));
        let chosen = chosen(&moments);
        assert_eq!(chosen.len(), MAX_PICTURES);
        assert_eq!(chosen.last(), Some(&MAX_PICTURES));
    }
}
