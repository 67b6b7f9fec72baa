//! A street of coloured rectangles with exact truth, drawn as I420 and encoded as a real video.
//! `tests/fixtures/models/shapes.onnx` detects them.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::path::Path;

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

/// One object of the scene.
pub struct Mover {
    /// Exact identity.
    pub id: u64,
    /// Index of the class in the detector: person, car, truck.
    pub class: usize,
    /// Its centre at the beginning, px.
    pub start: (f32, f32),
    /// px per second.
    pub velocity: (f32, f32),
}

/// Exact position of an object in one frame: left, top, right, bottom.
pub struct Truth {
    /// Exact identity.
    pub id: u64,
    /// Index of the class in the detector.
    pub class: usize,
    /// Frame pixels.
    pub ltrb: [f32; 4],
}

/// Names of the classes, as the detector has them.
pub const CLASSES: [&str; 3] = ["person", "car", "truck"];
/// Size of the pictures.
pub const SIZE: (usize, usize) = (640, 360);
/// Width and height of each class, px.
const EXTENT: [(f32, f32); 3] = [(24.0, 64.0), (72.0, 40.0), (112.0, 56.0)];
/// Y, U, V (BT.601 limited) of each class: about red, green and blue.
const COLORS: [[u8; 3]; 3] = [[81, 90, 240], [145, 54, 34], [60, 220, 110]];
const BACKGROUND: [u8; 3] = [110, 128, 128];
const POLE: [u8; 3] = [50, 128, 128];
/// A pole that hides what passes behind it: left and right edge.
const POLE_COLUMNS: (usize, usize) = (300, 340);

/// Cars and trucks on two lanes, persons that cross each other, all passing behind a pole.
pub fn movers() -> Vec<Mover> {
    let mover = |id, class, start, velocity| Mover {
        id,
        class,
        start,
        velocity,
    };
    vec![
        mover(1, 1, (40.0, 60.0), (110.0, 0.0)),
        mover(2, 1, (-160.0, 60.0), (110.0, 0.0)),
        mover(3, 2, (700.0, 150.0), (-90.0, 0.0)),
        mover(4, 0, (40.0, 270.0), (45.0, 0.0)),
        mover(5, 0, (400.0, 276.0), (-45.0, 0.0)),
        mover(6, 0, (400.0, 200.0), (20.0, -8.0)),
    ]
}

/// Where every object is at `seconds`, whether hidden or not, in id order.
pub fn truth(movers: &[Mover], seconds: f32) -> Vec<Truth> {
    movers
        .iter()
        .map(|mover| {
            let (width, height) = EXTENT[mover.class];
            let left = mover.start.0 + mover.velocity.0 * seconds - width / 2.0;
            let top = mover.start.1 + mover.velocity.1 * seconds - height / 2.0;
            Truth {
                id: mover.id,
                class: mover.class,
                ltrb: [left, top, left + width, top + height],
            }
        })
        .collect()
}

/// The picture at `seconds` as tightly packed I420 of [`SIZE`].
pub fn draw(movers: &[Mover], seconds: f32) -> Vec<u8> {
    let (width, height) = SIZE;
    let mut planes = vec![BACKGROUND[0]; width * height];
    planes.resize(width * height * 3 / 2, 128);
    for object in truth(movers, seconds) {
        let edges = object.ltrb.map(|edge| edge.round().max(0.0) as usize);
        fill(&mut planes, edges, COLORS[object.class]);
    }
    fill(
        &mut planes,
        [POLE_COLUMNS.0, 0, POLE_COLUMNS.1, height],
        POLE,
    );
    planes
}

fn fill(planes: &mut [u8], [left, top, right, bottom]: [usize; 4], color: [u8; 3]) {
    let (width, height) = SIZE;
    let (right, bottom) = (right.min(width), bottom.min(height));
    for row in top..bottom {
        for column in left..right {
            planes[row * width + column] = color[0];
            let chroma = width * height + (row / 2) * (width / 2) + column / 2;
            planes[chroma] = color[1];
            planes[chroma + width * height / 4] = color[2];
        }
    }
}

/// Writes `frames` pictures of the scene as an H.264 MP4 at `fps`, scaled to `size` if given.
pub fn write_video(path: &Path, frames: u64, fps: u32, size: Option<(u32, u32)>) {
    write_scene(path, &movers(), frames, fps, size);
}

/// As [`write_video`], of these objects.
pub fn write_scene(path: &Path, movers: &[Mover], frames: u64, fps: u32, size: Option<(u32, u32)>) {
    gst::init().unwrap();
    let (width, height) = size.unwrap_or((SIZE.0 as u32, SIZE.1 as u32));
    let description = format!(
        "appsrc name=in format=time block=true max-bytes=4000000 caps=video/x-raw,format=I420,width={},height={},framerate={fps}/1,colorimetry=bt601 \
         ! videoscale ! video/x-raw,width={width},height={height} \
         ! x264enc speed-preset=superfast bitrate=4000 key-int-max={fps} threads=1 ! h264parse ! mp4mux ! filesink name=out",
        SIZE.0, SIZE.1
    );
    let pipeline = gst::parse::launch(&description)
        .unwrap()
        .downcast::<gst::Pipeline>()
        .unwrap();
    let source = pipeline
        .by_name("in")
        .unwrap()
        .downcast::<gst_app::AppSrc>()
        .unwrap();
    pipeline
        .by_name("out")
        .unwrap()
        .set_property("location", path.to_str().unwrap());
    pipeline.set_state(gst::State::Playing).unwrap();
    for number in 0..frames {
        let mut buffer = gst::Buffer::from_slice(draw(movers, number as f32 / fps as f32));
        let times = buffer.get_mut().unwrap();
        times.set_pts(gst::ClockTime::from_nseconds(
            number * 1_000_000_000 / u64::from(fps),
        ));
        times.set_duration(gst::ClockTime::from_nseconds(
            1_000_000_000 / u64::from(fps),
        ));
        source.push_buffer(buffer).unwrap();
    }
    source.end_of_stream().unwrap();
    let bus = pipeline.bus().unwrap();
    let message = bus
        .timed_pop_filtered(
            gst::ClockTime::from_seconds(300),
            &[gst::MessageType::Eos, gst::MessageType::Error],
        )
        .expect("the video is encoded within five minutes");
    assert_eq!(message.type_(), gst::MessageType::Eos, "{message:?}");
    pipeline.set_state(gst::State::Null).unwrap();
}
