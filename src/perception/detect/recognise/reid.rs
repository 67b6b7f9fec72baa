//! Networks that say what one object looks like: a picture of it in, one vector out.

use std::path::Path;

use super::super::{
    BatchAxis, ElementType, InputPlan, Layout, Manifest, Resize, Signature, TensorInfo,
};
use super::facts::Facts;
use super::overrides::apply_feed;
use super::{ChannelOrder, Feed, RecogniseError, inputs};
use crate::base::Embedding;

/// Size taken where neither file nor manifest state one, px: width and height that person
/// re-identification is trained with.
const USUAL: (usize, usize) = (128, 256);

/// How to feed a re-identification network and where its vectors are.
#[derive(Debug, Clone)]
pub struct ReidPlan {
    /// Crop → image tensor.
    pub input: InputPlan,
    /// Output with the vectors, `[B, D]`, `[B, D, 1, 1]` or `[B, 1, 1, D]`.
    pub output: String,
    /// What was decided, and from what.
    pub notes: Vec<String>,
}

/// Decides how to feed the re-identification network at `path` (used for messages and hints only).
///
/// # Errors
/// [`RecogniseError`] if it does not make one vector of each picture, or the manifest contradicts it.
pub fn reid(
    path: &Path,
    signature: &Signature,
    manifest: Option<&Manifest>,
) -> Result<ReidPlan, RecogniseError> {
    let refused = |why: String| RecogniseError::NotReid {
        path: path.to_path_buf(),
        why,
    };
    let facts = Facts::new(path, signature, manifest).map_err(|fault| match fault {
        inputs::Fault::NotPictures(why) => refused(why),
        inputs::Fault::Manifest(what) => RecogniseError::Manifest {
            path: path.to_path_buf(),
            what,
        },
    })?;
    if let Some(extra) = facts.extra.first() {
        return Err(refused(format!("it has a second input {:?}", extra.name)));
    }
    let output = signature.outputs.iter().find(|o| is_vector(o));
    let output = output.ok_or_else(|| {
        let seen: Vec<String> = signature.outputs.iter().map(ToString::to_string).collect();
        let most = Embedding::MAX_LEN;
        refused(format!(
            "no output is one vector of 2 to {most} values per picture, but {}",
            seen.join(", ")
        ))
    })?;
    let mut notes = Vec::new();
    let (width, height) = size(&facts, signature, manifest, &mut notes);
    let mut feed = match facts.image.layout {
        Layout::Nchw => {
            notes.push("NCHW: RGB with ImageNet mean and std, as OSNet and FastReID".to_owned());
            Feed::IMAGENET
        }
        Layout::Nhwc => {
            notes.push("NHWC: BGR 0..255, as the OpenVINO model zoo".to_owned());
            Feed {
                order: ChannelOrder::Bgr,
                ..Feed::BYTES
            }
        }
    };
    feed = facts.feed(feed, &mut notes);
    feed.resize = Resize::Stretch;
    if let Some(manifest) = manifest {
        apply_feed(&mut feed, manifest);
    }
    let image = &facts.image;
    Ok(ReidPlan {
        input: InputPlan {
            name: image.name.clone(),
            layout: image.layout,
            dtype: image.dtype,
            width,
            height,
            batch: match image.batch {
                // The vectors of a batch could not be told apart.
                BatchAxis::Dynamic if output.has_shape && output.dims.len() == 1 => {
                    BatchAxis::Fixed(1)
                }
                batch => batch,
            },
            order: feed.order,
            mean: feed.mean,
            std: feed.std,
            resize: feed.resize,
            extra: Vec::new(),
        },
        output: output.name.clone(),
        notes,
    })
}

/// One vector per picture: a batch and a length, whatever axes of one lie between.
fn is_vector(output: &TensorInfo) -> bool {
    if !matches!(output.dtype, ElementType::F32 | ElementType::F16) {
        return false;
    }
    if !output.has_shape {
        return true;
    }
    let own = output.dims.get(1..).unwrap_or_default();
    let long: Vec<&Option<usize>> = own.iter().filter(|dim| **dim != Some(1)).collect();
    matches!(long.as_slice(), [None])
        || matches!(long.as_slice(), [Some(len)] if (2..=Embedding::MAX_LEN).contains(len))
}

/// The stated size, or the usual one, side by side.
fn size(
    facts: &Facts<'_>,
    signature: &Signature,
    manifest: Option<&Manifest>,
    notes: &mut Vec<String>,
) -> (usize, usize) {
    let dims = signature
        .inputs
        .iter()
        .find(|input| input.name == facts.image.name)
        .map(|input| input.dims.as_slice())
        .unwrap_or_default();
    let stated = match (facts.image.layout, dims) {
        (Layout::Nchw, [.., height, width]) | (Layout::Nhwc, [.., height, width, _]) => {
            (*width, *height)
        }
        _ => (None, None),
    };
    let asked = manifest.map_or((None, None), |m| (m.input.width, m.input.height));
    let width = stated.0.or(asked.0).unwrap_or(USUAL.0);
    let height = stated.1.or(asked.1).unwrap_or(USUAL.1);
    if stated.0.is_none() || stated.1.is_none() {
        notes.push(format!(
            "the input has no fixed size: {width}x{height} (a manifest may set input.width and input.height)"
        ));
    }
    (width, height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, dims: &[Option<usize>]) -> TensorInfo {
        TensorInfo {
            name: name.to_owned(),
            dtype: ElementType::F32,
            dims: dims.to_vec(),
            has_shape: true,
        }
    }

    fn plan(input: &[Option<usize>], output: &[Option<usize>]) -> Result<ReidPlan, RecogniseError> {
        let signature = Signature {
            inputs: vec![tensor("images", input)],
            outputs: vec![tensor("output", output)],
            ..Signature::default()
        };
        reid(Path::new("x.onnx"), &signature, None)
    }

    #[test]
    fn channels_first_is_rgb_by_imagenet_and_channels_last_bgr_bytes() {
        let osnet = plan(&[None, Some(3), Some(256), Some(128)], &[None, Some(512)]).unwrap();
        assert_eq!((osnet.input.width, osnet.input.height), (128, 256));
        assert_eq!(osnet.input.order, ChannelOrder::Rgb);
        assert_eq!(osnet.input.mean[0], 123.675);
        assert_eq!(osnet.input.batch, BatchAxis::Dynamic);
        let retail = plan(
            &[Some(1), Some(256), Some(128), Some(3)],
            &[Some(1), Some(256)],
        );
        let retail = retail.unwrap().input;
        assert_eq!((retail.width, retail.height), (128, 256));
        assert_eq!(retail.order, ChannelOrder::Bgr);
        assert_eq!((retail.mean, retail.std), ([0.0; 3], [1.0; 3]));
        assert_eq!(retail.batch, BatchAxis::Fixed(1));
    }

    #[test]
    fn a_free_size_is_that_of_persons() {
        let free = plan(
            &[None, Some(3), None, None],
            &[None, Some(512), Some(1), Some(1)],
        );
        let input = free.unwrap().input;
        assert_eq!((input.width, input.height), (128, 256));
    }

    #[test]
    fn a_detector_is_refused_by_what_it_gives() {
        let error = plan(
            &[Some(1), Some(3), Some(416), Some(416)],
            &[Some(1), Some(3549), Some(85)],
        );
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains("one vector") && text.contains("3549"),
            "{text}"
        );
    }
}
