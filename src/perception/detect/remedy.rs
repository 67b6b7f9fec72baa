//! What ONNX Runtime says when an accelerator cannot be used, and what to do about it.

use super::Provider;

/// Words in ONNX Runtime's message, and the remedy; the first that fits counts.
const REMEDIES: &[(&[&str], &str)] = &[
    (
        &["libcuda.so"],
        "the NVIDIA driver is not installed here; install it, `nvidia-smi` must list the card",
    ),
    (
        &["libcudnn"],
        "cuDNN 9 is missing; install it (apt-get install cudnn9-cuda-13 from NVIDIA's repository) or name its folder in LD_LIBRARY_PATH",
    ),
    (
        &[
            "libcublas",
            "libcudart",
            "libcurand",
            "libcufft",
            "libnvrtc",
        ],
        "CUDA's own libraries are missing, or of another major version than the number at the end of the name; install that version (apt-get install cuda-libraries-13-0 from NVIDIA's repository) or name its folder in LD_LIBRARY_PATH",
    ),
    (
        &["libnvinfer", "libnvonnxparser"],
        "TensorRT 10 is missing; install it, or use detect.provider = \"cuda\"",
    ),
    (
        &["libopenvino"],
        "OpenVINO's libraries are missing; name the folder they came in with ONNX Runtime in LD_LIBRARY_PATH",
    ),
    (
        &["not enabled in this build", "not built"],
        "this ONNX Runtime was built without it; name one that has it in detect.runtime_library (--runtime-library): PyPI's onnxruntime-gpu for CUDA, onnxruntime-openvino for OpenVINO",
    ),
    (
        &[
            "Invalid device ID",
            "invalid device ordinal",
            "CUDA failure 101",
        ],
        "there is no card of that number; `nvidia-smi -L` lists them, detect.device (--device) counts from 0",
    ),
    (
        &[
            "no CUDA-capable device",
            "CUDA failure 100",
            "CUDA failure 999",
        ],
        "the driver sees no card; `nvidia-smi` must list it, and in a container it must be passed through",
    ),
    (
        &[
            "driver version is insufficient",
            "CUDA failure 35",
            "CUDA failure 36",
            // A function of the driver that ONNX Runtime links: cuTensorMapEncodeTiled came with CUDA 12.
            "undefined symbol: cu",
        ],
        "the driver is older than this CUDA needs; update the driver, or use an ONNX Runtime for an older CUDA",
    ),
    (
        &[
            "out of memory",
            "Failed to allocate memory",
            "CUDA failure 2:",
        ],
        "the card's memory is full; see who uses it with `nvidia-smi`, lower detect.max_batch or detect.workers, or choose another card with detect.device",
    ),
];

/// What to do when `provider` fails with this message.
pub(super) fn remedy(provider: Provider, message: &str) -> String {
    let known = REMEDIES
        .iter()
        .find(|(words, _)| words.iter().any(|word| message.contains(word)));
    match known {
        Some((_, remedy)) => (*remedy).to_owned(),
        None => {
            format!("this needs an ONNX Runtime built for {provider}, its libraries and driver")
        }
    }
}

/// The part of a message that means something to people: without the place in ONNX Runtime's source
/// that leads, and the call stack that may follow.
pub(super) fn gist(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default().trim();
    // "/path/file.cc:12 Function(...) [ONNXRuntimeError] : 1 : FAIL : what happened"
    let after_code = line
        .split_once("[ONNXRuntimeError] : ")
        .map(|(_, rest)| rest.splitn(3, " : ").last().unwrap_or(rest));
    after_code.unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_CUBLAS: &str = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library /opt/ort/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file or directory";

    #[test]
    fn a_missing_library_is_told_with_what_brings_it() {
        assert!(remedy(Provider::Cuda, NO_CUBLAS).contains("cuda-libraries-13-0"));
        for (library, word) in [
            ("libcudnn.so.9", "cuDNN"),
            ("libcuda.so.1", "driver"),
            ("libnvinfer.so.10", "TensorRT"),
        ] {
            let told = remedy(
                Provider::Cuda,
                &NO_CUBLAS.replace("libcublasLt.so.13", library),
            );
            assert!(told.contains(word), "{library}: {told}");
        }
    }

    #[test]
    fn a_card_that_is_absent_full_or_of_another_number_is_told_apart() {
        let told = |message: &str| remedy(Provider::Cuda, message);
        assert!(
            told("Invalid device ID: 7, must be between 0 (inclusive) and 1 (exclusive).")
                .contains("nvidia-smi -L")
        );
        assert!(
            told("CUDA failure 100: no CUDA-capable device is detected").contains("sees no card")
        );
        assert!(told("CUDA failure 2: out of memory ; GPU=0").contains("memory is full"));
        assert!(told("something else").contains("built for cuda"));
    }

    #[test]
    fn the_gist_is_what_happened() {
        assert_eq!(
            gist(NO_CUBLAS),
            "Failed to load library /opt/ort/libonnxruntime_providers_cuda.so with error: libcublasLt.so.13: cannot open shared object file: No such file or directory"
        );
        assert_eq!(
            gist("CUDA is not enabled in this build.\nstack"),
            "CUDA is not enabled in this build."
        );
    }

    /// What onnxruntime-gpu 1.31.1 said beside drivers of the tests.
    #[test]
    fn a_driver_that_is_too_old_is_told_in_each_of_its_ways() {
        for message in [
            "Failed to load library libonnxruntime_providers_cuda.so with error: undefined symbol: cuTensorMapEncodeTiled",
            "Failed to parse provider option \"device_id\": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1",
            "Failed to parse provider option \"device_id\": CUDA failure 36: API call is not supported in the installed CUDA driver ; GPU=-1",
        ] {
            let told = remedy(Provider::Cuda, message);
            assert!(told.contains("driver is older"), "{message}: {told}");
        }
    }
}
