//! Writes the test scene as a video: `make_clip FILE.mp4 [SECONDS] [WIDTHxHEIGHT]`.

#[expect(dead_code, reason = "the truth is for tests")]
mod shapes;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(path) = arguments.first() else {
        panic!("usage: make_clip FILE.mp4 [SECONDS] [WIDTHxHEIGHT]");
    };
    let seconds: u64 = arguments
        .get(1)
        .map_or(10, |text| text.parse().expect("SECONDS is a whole number"));
    let size = arguments.get(2).map(|text| {
        let (width, height) = text.split_once('x').expect("WIDTHxHEIGHT");
        (
            width.parse().expect("WIDTH"),
            height.parse().expect("HEIGHT"),
        )
    });
    let fps = 25;
    shapes::write_video(std::path::Path::new(path), seconds * fps, fps as u32, size);
}
