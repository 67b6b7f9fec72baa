//! Pictures with labels for training: JPEG files and one annotation file in COCO's format.
//!
//! Source of the format: the data format page of the COCO dataset (cocodataset.org), object
//! detection. `visibility`, `track_id` and `video_id` are ours.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use serde_json::json;

use super::{Class, Daytime, Options, Picture, SceneKind, Simulation, Weather};

/// Pictures taken of each place.
const PER_CLIP: u64 = 4;

/// Seconds between two pictures of a place.
const GAPS: (f32, f32) = (0.2, 3.0);

/// Less than this seen of an object, and it is not written down.
const LEAST_SEEN: f32 = 0.03;

/// A file of the set cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("writing {path}; is there room, and may this user write there?")]
pub struct DatasetError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// What a set is made of; a `None` is drawn anew for each place.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Kind of place.
    pub scene: Option<SceneKind>,
    /// Weather.
    pub weather: Option<Weather>,
    /// Time of day.
    pub time: Option<Daytime>,
    /// Everything random comes from it.
    pub seed: u64,
    /// Width and height in pixels.
    pub size: (u32, u32),
    /// How many pictures.
    pub images: u64,
    /// How much goes on; 1 is usual.
    pub density: f32,
    /// As [`Options::spread`].
    pub spread: f32,
    /// As [`Options::lens`].
    pub lens: Option<f32>,
}

/// One picture as it will be written.
struct Taken {
    jpeg: Vec<u8>,
    picture: Picture,
    scene: SceneKind,
}

impl Dataset {
    /// Writes `images/000001.jpg` and so on and `annotations.json` into `folder`, made if absent;
    /// `progress` is called with the number of pictures done and stops the work by giving false.
    ///
    /// # Errors
    /// The first file that cannot be written, or that it was stopped: then there is no index.
    pub fn write(
        &self,
        folder: &Path,
        mut progress: impl FnMut(u64) -> bool,
    ) -> Result<(), DatasetError> {
        let pictures = folder.join("images");
        std::fs::create_dir_all(&pictures).map_err(|source| failed(&pictures, source))?;
        let clips = self.images.div_ceil(PER_CLIP);
        let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let mut index = Index::default();
        let mut clip = 0;
        while clip < clips {
            let batch: Vec<u64> = (clip..(clip + threads).min(clips)).collect();
            for (clip, taken) in batch.iter().zip(self.take_all(&batch)) {
                for taken in taken {
                    let name = format!("{:06}.jpg", index.images.len() + 1);
                    let path = pictures.join(&name);
                    std::fs::write(&path, &taken.jpeg).map_err(|source| failed(&path, source))?;
                    index.add(&name, *clip, &taken);
                }
            }
            clip += threads;
            if !progress(index.images.len() as u64) {
                let stopped = std::io::Error::new(
                    std::io::ErrorKind::Interrupted,
                    format!(
                        "stopped after {} of {} pictures; without its index the set is not used",
                        index.images.len(),
                        self.images
                    ),
                );
                return Err(failed(&folder.join("annotations.json"), stopped));
            }
        }
        index.write(&folder.join("annotations.json"))
    }

    /// The clips of a batch, each on a thread of its own, in their order.
    fn take_all(&self, clips: &[u64]) -> Vec<Vec<Taken>> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = clips
                .iter()
                .map(|&clip| scope.spawn(move || self.take(clip)))
                .collect();
            threads
                .into_iter()
                .map(|thread| match thread.join() {
                    Ok(taken) => taken,
                    Err(panic) => std::panic::resume_unwind(panic),
                })
                .collect()
        })
    }

    /// All pictures of one place.
    fn take(&self, clip: u64) -> Vec<Taken> {
        let seed = self
            .seed
            .wrapping_mul(0x2545_f491_4f6c_dd1d)
            .wrapping_add(clip * 7919);
        let mut rng = fastrand::Rng::with_seed(seed);
        let options = self.place(&mut rng);
        let mut simulation = Simulation::new(&options);
        let count = PER_CLIP.min(self.images - clip * PER_CLIP);
        (0..count)
            .map(|number| {
                if number > 0 {
                    simulation.advance(GAPS.0 + (GAPS.1 - GAPS.0) * rng.f32().powi(2));
                }
                let picture = simulation.picture();
                let jpeg = jpeg(&picture, 35 + rng.u8(..60));
                Taken {
                    jpeg,
                    picture,
                    scene: options.scene,
                }
            })
            .collect()
    }

    fn place(&self, rng: &mut fastrand::Rng) -> Options {
        let draw = rng.f32();
        let scene = match draw {
            _ if draw < 0.44 => SceneKind::Junction,
            _ if draw < 0.64 => SceneKind::Motorway,
            _ if draw < 0.84 => SceneKind::Warehouse,
            _ => SceneKind::Square,
        };
        let draw = rng.f32();
        let weather = match draw {
            _ if draw < 0.42 => Weather::Clear,
            _ if draw < 0.76 => Weather::Overcast,
            _ if draw < 0.93 => Weather::Rain,
            _ => Weather::Fog,
        };
        let draw = rng.f32();
        let time = match draw {
            _ if draw < 0.68 => Daytime::Day,
            _ if draw < 0.82 => Daytime::Dusk,
            _ => Daytime::Night,
        };
        let density = match rng.u8(..40) {
            0 => 0.0,
            1..=6 => 0.25,
            7..=30 => 0.6 + 0.6 * rng.f32(),
            _ => 1.3 + rng.f32(),
        };
        Options {
            scene: self.scene.unwrap_or(scene),
            seed: rng.u64(..),
            size: self.size,
            weather: self.weather.unwrap_or(weather),
            time: self.time.unwrap_or(time),
            density: density * self.density,
            shake: 0.0,
            spread: self.spread,
            lens: self.lens,
        }
    }
}

fn failed(path: &Path, source: std::io::Error) -> DatasetError {
    DatasetError {
        path: path.to_owned(),
        source,
    }
}

/// A picture as JPEG.
fn jpeg(picture: &Picture, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (width, height) = picture.size;
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&picture.rgb, width, height, ExtendedColorType::Rgb8)
        .expect("a picture of its own size is written to memory");
    bytes
}

/// The annotation file in the making.
#[derive(Default)]
struct Index {
    images: Vec<serde_json::Value>,
    annotations: Vec<serde_json::Value>,
}

impl Index {
    fn add(&mut self, name: &str, clip: u64, taken: &Taken) {
        let (width, height) = taken.picture.size;
        let image = self.images.len() + 1;
        let scene = SceneKind::ALL.iter().find(|(_, kind)| *kind == taken.scene);
        self.images.push(json!({
            "id": image, "file_name": name, "width": width, "height": height,
            "video_id": clip + 1, "scene": scene.map_or("", |(name, _)| name),
        }));
        for truth in &taken.picture.truths {
            if truth.visibility < LEAST_SEEN {
                continue;
            }
            let [left, top, right, bottom] = truth.ltrb;
            let (wide, high) = (right - left, bottom - top);
            self.annotations.push(json!({
                "id": self.annotations.len() + 1,
                "image_id": image,
                "category_id": truth.class.number(),
                "bbox": [left, top, wide, high],
                "area": wide * high,
                "iscrowd": u8::from(!truth.counts()),
                "visibility": (f64::from(truth.visibility) * 1000.0).round() / 1000.0,
                // Unique over the whole set: at most a million objects come to one place.
                "track_id": (clip + 1) * 1_000_000 + truth.id,
            }));
        }
    }

    /// Written beside its place first, so that a half-written file is never taken for a whole one.
    fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let categories: Vec<_> = Class::ALL
            .iter()
            .map(|(name, class)| json!({"id": class.number(), "name": name, "supercategory": "object"}))
            .collect();
        let all = json!({
            "info": {"description": "gantryd simulate"},
            "images": self.images, "annotations": self.annotations, "categories": categories,
        });
        let part = path.with_extension("json.part");
        let write = || {
            let mut file = BufWriter::new(File::create(&part)?);
            serde_json::to_writer(&mut file, &all)?;
            file.flush()?;
            std::fs::rename(&part, path)
        };
        write().map_err(|source| failed(path, source))
    }
}
