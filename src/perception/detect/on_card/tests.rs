//! The kernel on the CPU (`tests/fixtures/card/cuda.cpp`) against what the CPU does by itself.

use super::*;
use crate::base::{
    CameraId, ColorMatrix, ColorRange, FrameMeta, FrameSeq, OwnedPlanes, PixelFormat, Pixels, Pts,
    RunId, UtcSource,
};
use crate::card::{BoundCall, TensorShape};
use crate::perception::detect::runtime::Runtime;
use crate::perception::detect::session;
use crate::perception::detect::tensors::{Inputs, Outputs, quiet, shapes};
use crate::perception::detect::{
    BatchAxis, ChannelOrder, DetectOptions, LetterboxAnchor, ModelFiles, Padding, Preprocessor,
    Provider, Resize, Signature, recognise,
};
use half::f16;
use std::sync::OnceLock;
use std::time::Instant;
use test_driver::TestDriver;
use zerocopy::IntoBytes;

#[path = "../../../../tests/support/card.rs"]
mod test_driver;

/// Loads the driver of the tests: whoever opens `libcuda.so.1` in this process from now on gets it.
fn driver() -> bool {
    static LOADED: OnceLock<Option<libloading::Library>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            let driver = TestDriver::build()?;
            #[expect(unsafe_code, reason = "a library of the tests, without constructors")]
            // SAFETY: as the reason says.
            Some(unsafe { libloading::Library::new(driver.folder().join("libcuda.so.1")) }.unwrap())
        })
        .is_some()
}

/// Numbers without a pattern, always the same (xorshift, Marsaglia 2003).
struct Noise(u32);

impl Noise {
    fn next(&mut self, below: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 % below
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next(256) as u8).collect()
    }
}

fn frame(noise: &mut Noise, size: Size) -> Frame {
    let (width, height) = (size.width as usize, size.height as usize);
    let pairs = 2 * width.div_ceil(2);
    // Rows with a rest behind them, as decoders make them.
    let (luma, chroma) = (width + 3, pairs + 5);
    let planes = vec![
        (noise.bytes(luma * height), luma),
        (noise.bytes(chroma * height.div_ceil(2)), chroma),
    ];
    Frame {
        meta: FrameMeta {
            camera: CameraId::new("noise"),
            run: RunId(1),
            seq: FrameSeq(0),
            pts: Pts(0),
            utc: None,
            utc_source: UtcSource::Unknown,
            size,
        },
        pixels: Pixels {
            format: PixelFormat::Nv12,
            matrix: [ColorMatrix::Bt601, ColorMatrix::Bt709][noise.next(2) as usize],
            range: [ColorRange::Limited, ColorRange::Full][noise.next(2) as usize],
            planes: Arc::new(OwnedPlanes(planes)),
        },
        arrived: Instant::now(),
    }
}

fn plan(noise: &mut Noise, dtype: Dtype) -> InputPlan {
    let anchor = [LetterboxAnchor::Center, LetterboxAnchor::TopLeft][noise.next(2) as usize];
    InputPlan {
        name: "images".to_owned(),
        layout: [Layout::Nchw, Layout::Nhwc][noise.next(2) as usize],
        dtype,
        width: 32 + noise.next(64) as usize,
        height: 32 + noise.next(64) as usize,
        batch: BatchAxis::Dynamic,
        order: [ChannelOrder::Rgb, ChannelOrder::Bgr][noise.next(2) as usize],
        mean: [123.675, 116.28, 103.53],
        std: [58.395, 57.12, 57.375],
        resize: match noise.next(3) {
            0 => Resize::Stretch,
            _ => Resize::Letterbox { anchor, pad: 114 },
        },
        extra: Vec::new(),
    }
}

/// A part of a frame that begins at even pixels; every third time all of it.
fn part(noise: &mut Noise, size: Size) -> Region {
    if noise.next(3) == 0 {
        return Region::whole(size);
    }
    let left = noise.next(size.width.div_ceil(2)) * 2;
    let top = noise.next(size.height.div_ceil(2)) * 2;
    Region {
        left,
        top,
        size: Size {
            width: 1 + noise.next(size.width - left),
            height: 1 + noise.next(size.height - top),
        },
    }
}

/// The tensor of two pictures, from the card and from the CPU, as bytes.
fn both(plan: &InputPlan, pictures: &[(Frame, Region)]) -> [Vec<u8>; 2] {
    let mut on_card = OnCard::open(0, plan, false).unwrap();
    let mut cpu = Preprocessor::new(plan.clone());
    let elements = cpu.slot_len();
    let sent: Vec<Frame> = pictures
        .iter()
        .map(|(it, _)| sent(it, 0).unwrap())
        .collect();
    let on_it = sent.iter().zip(pictures);
    let on_it = on_it.map(|(frame, (_, part))| (Surface::of(&frame.pixels).unwrap(), frame, *part));
    on_card
        .draw(&on_it.collect::<Vec<_>>(), pictures.len(), None)
        .unwrap();
    let mut expected = Vec::new();
    for (frame, part) in pictures {
        let (size, pixels) = (frame.meta.size, &frame.pixels);
        match plan.dtype {
            Dtype::F32 => {
                let mut slot = vec![0.0_f32; elements];
                cpu.write_part(size, pixels, *part, &mut slot, Padding::Write)
                    .unwrap();
                expected.extend_from_slice(slot.as_bytes());
            }
            Dtype::F16 => {
                let mut slot = vec![f16::ZERO; elements];
                cpu.write_part(size, pixels, *part, &mut slot, Padding::Write)
                    .unwrap();
                expected.extend_from_slice(slot.as_bytes());
            }
            Dtype::U8 => {
                let mut slot = vec![0_u8; elements];
                cpu.write_part(size, pixels, *part, &mut slot, Padding::Write)
                    .unwrap();
                expected.extend_from_slice(&slot);
            }
        }
    }
    let mut found = vec![1; expected.len()];
    on_card.letterbox.download(&mut found).unwrap();
    [found, expected]
}

#[test]
fn the_kernel_gives_the_bytes_of_the_cpu() {
    if !driver() {
        return;
    }
    let mut noise = Noise(2_463_534_242);
    let mut elements = 0;
    for round in 0..300 {
        let dtype = [Dtype::F32, Dtype::F16, Dtype::U8][round % 3];
        let plan = plan(&mut noise, dtype);
        let pictures: Vec<(Frame, Region)> = (0..2)
            .map(|_| {
                // Single rows, columns and pixels among them.
                let side = |noise: &mut Noise| {
                    let most = if noise.next(4) == 0 { 3 } else { 200 };
                    1 + noise.next(most)
                };
                let size = Size {
                    width: side(&mut noise),
                    height: side(&mut noise),
                };
                (frame(&mut noise, size), part(&mut noise, size))
            })
            .collect();
        let [found, expected] = both(&plan, &pictures);
        elements += expected.len();
        let wrong = found.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(wrong, None, "round {round}: {plan:?} {pictures:?}");
    }
    assert!(elements > 5_000_000, "{elements}");
}

#[test]
fn full_hd_gives_the_bytes_of_the_cpu_too() {
    if !driver() {
        return;
    }
    let mut noise = Noise(88_675_123);
    let plan = InputPlan {
        width: 640,
        height: 384,
        ..plan(&mut noise, Dtype::F32)
    };
    let size = Size {
        width: 1920,
        height: 1080,
    };
    let pictures = [(frame(&mut noise, size), Region::whole(size))];
    let [found, expected] = both(&plan, &pictures);
    assert!(found == expected);
}

#[test]
fn a_part_beside_the_frame_is_refused_before_the_card_reads_it() {
    if !driver() {
        return;
    }
    let mut noise = Noise(521_288_629);
    let size = Size {
        width: 64,
        height: 48,
    };
    let mut on_card = OnCard::open(0, &plan(&mut noise, Dtype::U8), false).unwrap();
    let on_it = sent(&frame(&mut noise, size), 0).unwrap();
    let surface = Surface::of(&on_it.pixels).unwrap();
    for (left, top, width, height) in [
        (2, 0, 64, 48),
        (0, 2, 64, 48),
        (1, 0, 8, 8),
        (0, 0, 0, 8),
        (u32::MAX - 1, 0, 8, 8),
    ] {
        let part = Region {
            left,
            top,
            size: Size { width, height },
        };
        let error = on_card
            .draw(&[(surface, &on_it, part)], 1, None)
            .unwrap_err();
        assert!(error.to_string().contains("do not fit"), "{error}");
    }
}

/// Calls of two pictures of the network of the tests, at addresses that the driver of the tests calls a card,
/// and the same network beside it.
fn bound() -> (BoundCall, Inputs, ort::session::Session, InputPlan) {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = ModelFiles::from_onnx(&root.join("models/resident-n/resident-n.onnx"));
    let signature = Signature::read(&model.onnx).unwrap();
    let plan = recognise(&model.onnx, &signature, None).unwrap().input;
    let mut inputs = Inputs::new(&plan, &signature);
    inputs.reserve(2);
    let options = DetectOptions::default();
    let open = || {
        let runtime = Runtime::load(None).unwrap();
        session::open_fixed(runtime, &model, Provider::Cpu, &options, &[], false).unwrap()
    };
    let mut session = open();
    let results: Vec<TensorShape> = {
        let outputs = inputs.run(&mut session, 2).unwrap();
        let dims = shapes(&outputs);
        let named = outputs.keys().zip(dims).enumerate();
        let result = |(index, (name, dims)): (usize, (&str, Vec<usize>))| TensorShape {
            name: name.to_owned(),
            element: outputs[index].dtype().tensor_type().unwrap(),
            dims: dims.iter().map(|&it| it as i64).collect(),
        };
        named.map(result).collect()
    };
    let input = inputs.only_input(2).unwrap();
    let card = Card::open(0).unwrap();
    let memory = ort::memory::MemoryInfo::default();
    let call = BoundCall::in_memory(&card, open(), memory, &input, &results).unwrap();
    (call, inputs, session, plan)
}

fn all(outputs: &Outputs<'_>) -> Vec<Vec<f32>> {
    let shapes = outputs.shapes();
    let views = outputs.views(&shapes).unwrap();
    views.iter().map(|view| view.data.to_f32()).collect()
}

#[test]
#[ignore = "loads ONNX Runtime, and others test that there is none: bound_calls_in_a_process_of_their_own"]
fn a_bound_call_says_what_the_network_says_of_frames_from_host_and_card() {
    if !driver() {
        return;
    }
    let (mut call, mut inputs, mut session, plan) = bound();
    inputs.use_card(OnCard::open(0, &plan, true).unwrap());
    let elements = 3 * plan.width * plan.height;
    let mut noise = Noise(23);
    let whole = |frame: &Frame| Region::whole(frame.meta.size);
    for _ in 0..3 {
        let frames = [(); 2].map(|()| {
            frame(
                &mut noise,
                Size {
                    width: 200,
                    height: 120,
                },
            )
        });
        let pictures: Vec<_> = frames.iter().map(|it| (it, whole(it))).collect();
        inputs.write(&pictures, None).unwrap();
        let wanted = all(&Outputs::Made(inputs.run(&mut session, 2).unwrap()));
        inputs.send(&mut call, 2).unwrap();
        call.run(quiet().unwrap()).unwrap();
        assert!(all(&Outputs::Bound(&call)) == wanted, "from the host");
        // Something else in between, so that nothing of it is left.
        call.upload(&vec![0; 2 * elements * 4]).unwrap();
        call.run(quiet().unwrap()).unwrap();
        assert!(all(&Outputs::Bound(&call)) != wanted);

        let sent: Vec<_> = frames.iter().map(|it| sent(it, 0).unwrap()).collect();
        let pictures: Vec<_> = sent.iter().map(|it| (it, whole(it))).collect();
        inputs.write(&pictures, Some(call.input())).unwrap();
        inputs.send(&mut call, 2).unwrap();
        call.run(quiet().unwrap()).unwrap();
        assert!(all(&Outputs::Bound(&call)) == wanted, "from the card");
    }
}

#[test]
#[ignore = "loads ONNX Runtime, and others test that there is none: bound_calls_in_a_process_of_their_own"]
fn nothing_is_written_beside_the_input_of_a_bound_call() {
    if !driver() {
        return;
    }
    let (mut call, mut inputs, _, plan) = bound();
    inputs.use_card(OnCard::open(0, &plan, true).unwrap());
    let elements = 3 * plan.width * plan.height;
    let error = call.upload(&vec![0; 2 * elements * 4 + 1]).unwrap_err();
    assert!(matches!(error, CardError::NotDrawn), "{error}");
    let mut noise = Noise(5);
    let frame = frame(
        &mut noise,
        Size {
            width: 64,
            height: 48,
        },
    );
    let sent = sent(&frame, 0).unwrap();
    let three = [(&sent, Region::whole(frame.meta.size)); 3];
    let error = inputs.write(&three, Some(call.input())).unwrap_err();
    let error = crate::base::causes(&error);
    assert!(error.contains("fewer pictures"), "{error}");
}

#[test]
fn bound_calls_in_a_process_of_their_own() {
    let module = module_path!().split_once("::").unwrap().1;
    let names = [
        "a_bound_call_says_what_the_network_says_of_frames_from_host_and_card",
        "nothing_is_written_beside_the_input_of_a_bound_call",
    ];
    let tests = names.map(|name| format!("{module}::{name}"));
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact"])
        .args(tests)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 passed"), "{said}");
}
