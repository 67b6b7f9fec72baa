//! `provider` and `device` of `[detect]`, or `[[detect.providers]]`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::Provider;
use super::reader::Section;
use crate::perception::detect::{
    CudaOptions, OpenVinoOptions, Provider as Tried, ProviderOptions, TensorRtOptions,
};

const NAMES: &str = "cpu, cuda, tensorrt, openvino";

const MIB: u64 = 1024 * 1024;

/// What may run the network; a list stands for `auto` with this order.
pub(super) fn read(section: &mut Section<'_>) -> (Provider, ProviderOptions) {
    let provider = section.choice("provider", Provider::ALL, Provider::Auto);
    let device = section.integer("device", 0..=63, 0);
    let mut options = ProviderOptions::on_device(device);
    let list = section.children("providers");
    if section.was_given("providers") {
        let is_empty = list.is_empty();
        for key in ["provider", "device"] {
            if section.was_given(key) {
                let text = "providers says that too, leave one of them out";
                section.fault(key, text);
            }
        }
        options.order = read_list(list, &mut options);
        if is_empty {
            section.fault("providers", format!("empty, allowed are tables of {NAMES}"));
        }
    }
    options.require_gpu = section.boolean("require_gpu", false);
    let named = [match provider {
        Provider::Cpu => Tried::Cpu,
        Provider::Openvino => Tried::OpenVino,
        Provider::Auto | Provider::Cuda | Provider::Tensorrt => Tried::Cuda,
    }];
    let tried = if section.was_given("providers") {
        options.order.as_slice()
    } else {
        &named
    };
    if options.require_gpu && !tried.iter().any(|it| options.is_accelerator(*it)) {
        section.fault(
            "require_gpu",
            "true, and no provider is a GPU; allowed are cuda, tensorrt, and openvino with hardware = \"GPU\"",
        );
    }
    (provider, options)
}

fn read_list(list: Vec<Section<'_>>, options: &mut ProviderOptions) -> Vec<Tried> {
    let mut order = Vec::new();
    for mut entry in list {
        let given: Vec<Tried> = [
            ("cpu", Tried::Cpu),
            ("cuda", Tried::Cuda),
            ("tensorrt", Tried::TensorRt),
            ("openvino", Tried::OpenVino),
        ]
        .into_iter()
        .filter_map(|(key, tried)| {
            let is_given = entry.has(key);
            let settings = entry.child(key);
            read_settings(tried, settings, is_given, options);
            is_given.then_some(tried)
        })
        .collect();
        match given.as_slice() {
            [tried] if order.contains(tried) => {
                let text = "is there twice, each provider may be named once";
                entry.fault(tried.as_str(), text);
            }
            [tried] => order.push(*tried),
            [] => entry.fault("", format!("names no provider, allowed is one of {NAMES}")),
            [_, second, ..] => entry.fault(
                second.as_str(),
                "is the second provider in one entry; each has an entry of its own: \
                 [{ cuda = {} }, { cpu = {} }]",
            ),
        }
        entry.finish();
    }
    order
}

/// Reads the settings of one provider; only those that are given replace the defaults.
fn read_settings(
    tried: Tried,
    mut section: Section<'_>,
    is_given: bool,
    options: &mut ProviderOptions,
) {
    let s = &mut section;
    match tried {
        Tried::Auto | Tried::Cpu => {}
        Tried::Cuda => {
            let cuda = CudaOptions {
                device: s.integer("device", 0..=63, 0),
                memory_limit: mib(s, "memory_limit_mib"),
                tf32: s.boolean("tf32", true),
                graphs: s.boolean("graphs", false),
            };
            if is_given {
                options.cuda = cuda;
            }
        }
        Tried::TensorRt => {
            let tensorrt = TensorRtOptions {
                device: s.integer("device", 0..=63, 0),
                workspace: mib(s, "workspace_mib"),
                fp16: s.boolean("fp16", false),
                cache: folder(s),
            };
            if is_given {
                options.tensorrt = tensorrt;
            }
        }
        Tried::OpenVino => {
            let threads = s.integer_if_given("threads", 1..=256);
            let openvino = OpenVinoOptions {
                hardware: s.text("hardware"),
                threads: threads.and_then(|it| NonZeroUsize::new(it as usize)),
                cache: folder(s),
            };
            if is_given {
                options.openvino = openvino;
            }
        }
    }
    section.finish();
}

fn mib(section: &mut Section<'_>, key: &'static str) -> Option<u64> {
    let given = section.integer_if_given(key, 64..=1_048_576);
    given.map(|mib| u64::from(mib) * MIB)
}

fn folder(section: &mut Section<'_>) -> Option<PathBuf> {
    let given = section.text("cache_folder")?;
    Some(section.resolve(given.as_ref()))
}
