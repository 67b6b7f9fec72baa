//! A decoded NV12 picture in the memory of a card, and the context that decoders are given.
#![expect(unsafe_code, reason = "GStreamer's CUDA library has no bindings")]

use std::ffi::{c_int, c_void};
use std::sync::{Arc, Once, OnceLock};

use cudarc::driver::{CudaSlice, DevicePtr, sys};
use gstreamer as gst;
use gstreamer::glib;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::{Card, CardError};
use crate::base::{Pixels, Plane, Planes, Size};

/// `GST_MAP_READ | GST_MAP_CUDA`: the address on the card instead of a copy on the host. `GST_MAP_CUDA` is
/// `GST_MAP_FLAG_LAST << 1` (gstcudamemory.h of GStreamer 1.22).
const MAP_READ_CUDA: u32 = gst::ffi::GST_MAP_READ | (gst::ffi::GST_MAP_FLAG_LAST << 1);

/// Functions of `libgstcuda-1.0.so.0`.
struct Library {
    _library: libloading::Library,
    is_cuda: unsafe extern "C" fn(*mut gst::ffi::GstMemory) -> c_int,
    wrap: unsafe extern "C" fn(*mut c_void, c_int) -> *mut c_void,
    context: unsafe extern "C" fn(*mut c_void) -> *mut gst::ffi::GstContext,
    /// Waits for the decoder's copy to the memory; 1.22, whose decoders wait themselves, has none.
    sync: Option<unsafe extern "C" fn(*mut gst::ffi::GstMemory)>,
}

impl Library {
    /// The library, loaded once, with the driver behind it.
    fn get() -> Result<&'static Self, CardError> {
        static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
        LIBRARY
            .get_or_init(Self::load)
            .as_ref()
            .map_err(|reason| CardError::NoSurfaces {
                reason: reason.clone(),
            })
    }

    fn load() -> Result<Self, String> {
        gst::init().map_err(|error| error.to_string())?;
        let told = |error: libloading::Error| error.to_string();
        // SAFETY: a library of GStreamer that registers types when it is used, not when it is loaded; the
        // signatures are those of gstcudaloader.h, gstcudamemory.h, gstcudacontext.h and gstcudautils.h of
        // 1.22. `_library` keeps the functions where they are.
        unsafe {
            let library = libloading::Library::new("libgstcuda-1.0.so.0").map_err(told)?;
            let load = *library
                .get::<unsafe extern "C" fn() -> c_int>(b"gst_cuda_load_library\0")
                .map_err(told)?;
            if load() == 0 {
                return Err("its driver libcuda.so.1 lacks something".to_owned());
            }
            // GStreamer 1.24 and newer has to be told before it knows memory of cards; 1.22 has it too.
            if let Ok(init) = library.get::<unsafe extern "C" fn()>(b"gst_cuda_memory_init_once\0")
            {
                init();
            }
            Ok(Self {
                is_cuda: *library.get(b"gst_is_cuda_memory\0").map_err(told)?,
                wrap: *library
                    .get(b"gst_cuda_context_new_wrapped\0")
                    .map_err(told)?,
                context: *library
                    .get(b"gst_context_new_cuda_context\0")
                    .map_err(told)?,
                sync: library.get(b"gst_cuda_memory_sync\0").ok().map(|it| *it),
                _library: library,
            })
        }
    }
}

impl Card {
    /// Can decoders hand over frames in the memory of a card here?
    ///
    /// # Errors
    /// [`CardError::NoSurfaces`] without GStreamer's CUDA library.
    pub fn check_surfaces() -> Result<(), CardError> {
        Library::get().map(drop)
    }

    /// What to give to pipelines that decode on this card (`set_context`), before they start, so that they
    /// use the context of the card instead of one of their own.
    ///
    /// # Errors
    /// [`CardError::NoSurfaces`] without GStreamer's CUDA library.
    pub fn gst_context(&self) -> Result<gst::Context, CardError> {
        let library = Library::get()?;
        let (context, device) = (self.context().cu_ctx(), self.context().cu_device());
        // SAFETY: the context is valid for as long as the process (cards are never closed). What `wrap`
        // gives is owned here, what `context` gives has its own reference to it.
        unsafe {
            let wrapped = (library.wrap)(context.cast(), device);
            if wrapped.is_null() {
                return Err(CardError::NoSurfaces {
                    reason: "it takes no context of others".to_owned(),
                });
            }
            let made = (library.context)(wrapped);
            glib::gobject_ffi::g_object_unref(wrapped.cast());
            Ok(gst::Context::from_glib_full(made))
        }
    }
}

/// Where a plane lies on the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaneAddress {
    pub address: u64,
    /// Bytes from row to row.
    pub pitch: u32,
}

/// A decoded NV12 picture in the memory of a card. Who asks for its planes gets a copy on the host, made
/// when the first asks.
pub struct Surface {
    size: Size,
    planes: [PlaneAddress; 2],
    /// Address of the context that the planes belong to.
    context: usize,
    memory: Memory,
    host: OnceLock<OnHost>,
}

enum Memory {
    /// Of a decoder.
    Mapped(Mapped, gst_video::VideoInfo),
    /// Sent there by [`Card::upload`], from these planes.
    Sent {
        _bytes: CudaSlice<u8>,
        from: Arc<dyn Planes>,
    },
}

/// A copy of a mapped surface.
enum OnHost {
    Copy(Box<gst_video::VideoFrame<gst_video::video_frame::Readable>>),
    /// The card did not give it: grey of the same size, rows as long as the picture.
    Grey(Vec<u8>),
}

impl std::fmt::Debug for Surface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surface")
            .field("size", &self.size)
            .field("planes", &self.planes)
            .finish_non_exhaustive()
    }
}

/// A buffer whose only memory is mapped on the card.
struct Mapped {
    memory: gst::Memory,
    info: gst::ffi::GstMapInfo,
    buffer: gst::Buffer,
}

// SAFETY: the mapping is only read, and ended once, by whoever drops it; memory and buffer are shared by
// atomic reference counts.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: mapped by `Surface::map`, ended only here.
        unsafe { gst::ffi::gst_memory_unmap(self.memory.as_mut_ptr(), &raw mut self.info) }
    }
}

impl Surface {
    /// The picture of a buffer in the memory of a card; `None` where it lies elsewhere, or cannot be
    /// mapped there.
    #[must_use]
    pub fn map(buffer: &gst::Buffer, info: &gst_video::VideoInfo) -> Option<Self> {
        if info.format() != gst_video::VideoFormat::Nv12 || buffer.n_memory() != 1 {
            return None;
        }
        let library = Library::get().ok()?;
        let memory = buffer.memory(0)?;
        // SAFETY: asks a valid memory for its type.
        if unsafe { (library.is_cuda)(memory.as_mut_ptr()) } == 0 {
            return None;
        }
        let meta = buffer.meta::<gst_video::VideoMeta>();
        let (offsets, strides): (Vec<usize>, Vec<i32>) = match &meta {
            Some(meta) => (meta.offset().to_vec(), meta.stride().to_vec()),
            None => (info.offset().to_vec(), info.stride().to_vec()),
        };
        let size = Size {
            width: info.width(),
            height: info.height(),
        };
        // SAFETY: all bits 0 is a mapping of nothing; the call fills it, or says no.
        let info_of_map = unsafe {
            let mut map = std::mem::zeroed::<gst::ffi::GstMapInfo>();
            if gst::ffi::gst_memory_map(memory.as_mut_ptr(), &raw mut map, MAP_READ_CUDA) == 0 {
                return None;
            }
            if let Some(sync) = library.sync {
                sync(memory.as_mut_ptr());
            }
            map
        };
        let mapped = Mapped {
            memory,
            info: info_of_map,
            buffer: buffer.clone(),
        };
        let mut planes = [PlaneAddress {
            address: 0,
            pitch: 0,
        }; 2];
        let rows = [size.height, size.height.div_ceil(2)];
        let row_bytes = [size.width, 2 * size.width.div_ceil(2)];
        for (index, plane) in planes.iter_mut().enumerate() {
            let offset = *offsets.get(index)?;
            let pitch = u32::try_from(*strides.get(index)?).ok()?;
            let end = offset
                + (rows[index] as usize).checked_sub(1)? * pitch as usize
                + row_bytes[index] as usize;
            if pitch < row_bytes[index] || end > mapped.info.size {
                return None;
            }
            *plane = PlaneAddress {
                address: mapped.info.data as u64 + offset as u64,
                pitch,
            };
        }
        Some(Self {
            size,
            planes,
            context: context_of(planes[0].address)?,
            memory: Memory::Mapped(mapped, info.clone()),
            host: OnceLock::new(),
        })
    }

    /// The surface behind these planes, where they lie on a card.
    #[must_use]
    pub fn of(pixels: &Pixels) -> Option<&Self> {
        pixels.planes.on_card()?.downcast_ref()
    }

    /// Columns and rows.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Do its addresses mean something on this card?
    pub(super) fn is_on(&self, card: &Card) -> bool {
        self.context == card.context().cu_ctx() as usize
    }

    pub(super) fn luma(&self) -> PlaneAddress {
        self.planes[0]
    }

    pub(super) fn chroma(&self) -> PlaneAddress {
        self.planes[1]
    }

    fn copy(&self, buffer: &gst::Buffer, info: &gst_video::VideoInfo) -> OnHost {
        gst_video::VideoFrame::from_buffer_readable(buffer.clone(), info).map_or_else(
            |_| {
                static TOLD: Once = Once::new();
                // Each frame may fail from now on.
                TOLD.call_once(|| tracing::error!(size = %self.size, "the card does not give pictures to the host: they are grey for whoever needs them there"));
                let row = 2 * self.size.width.div_ceil(2) as usize;
                OnHost::Grey(vec![128; row * self.size.height as usize])
            },
            |frame| OnHost::Copy(Box::new(frame)),
        )
    }

    fn sent(
        context: usize,
        planes: [PlaneAddress; 2],
        size: Size,
        memory: CudaSlice<u8>,
        from: Arc<dyn Planes>,
    ) -> Self {
        Self {
            size,
            planes,
            context,
            memory: Memory::Sent {
                _bytes: memory,
                from,
            },
            host: OnceLock::new(),
        }
    }
}

impl Card {
    /// Sends a picture of NV12 planes to the card.
    ///
    /// # Errors
    /// [`CardError`] if the card has no room, or broke.
    ///
    /// # Panics
    /// If the planes are shorter than their size says.
    pub fn upload(&self, size: Size, planes: &Arc<dyn Planes>) -> Result<Surface, CardError> {
        let failed = |error| CardError::new(self.device(), "sending a picture", error);
        let rows = [size.height as usize, size.height.div_ceil(2) as usize];
        let row_bytes = 2 * size.width.div_ceil(2) as usize;
        let mut bytes = Vec::with_capacity(row_bytes * (rows[0] + rows[1]));
        for (index, rows) in rows.into_iter().enumerate() {
            let plane = planes.plane(index);
            for row in 0..rows {
                let from = row * plane.stride;
                let width = if index == 0 {
                    size.width as usize
                } else {
                    row_bytes
                };
                bytes.extend_from_slice(&plane.data[from..from + width]);
                bytes.resize(bytes.len() + row_bytes - width, 0);
            }
        }
        let stream = self.context().new_stream().map_err(failed)?;
        let memory = stream.clone_htod(&bytes).map_err(failed)?;
        stream.synchronize().map_err(failed)?;
        let first = memory.device_ptr(&stream).0;
        let plane = |rows_before: usize| PlaneAddress {
            address: first + (rows_before * row_bytes) as u64,
            pitch: row_bytes as u32,
        };
        let at = [plane(0), plane(rows[0])];
        let context = self.context().cu_ctx() as usize;
        Ok(Surface::sent(context, at, size, memory, Arc::clone(planes)))
    }
}

/// The context that memory of a card belongs to.
fn context_of(address: u64) -> Option<usize> {
    let mut context = 0_usize;
    // SAFETY: asks the driver about an address, which it knows or not; the answer is a pointer.
    let told = unsafe {
        sys::cuPointerGetAttribute(
            (&raw mut context).cast(),
            sys::CUpointer_attribute::CU_POINTER_ATTRIBUTE_CONTEXT,
            address,
        )
    };
    told.result().ok().map(|()| context)
}

impl Planes for Surface {
    /// A copy on the host; grey if the card does not give it.
    fn plane(&self, index: usize) -> Plane<'_> {
        let (mapped, info) = match &self.memory {
            Memory::Sent { from, .. } => return from.plane(index),
            Memory::Mapped(mapped, info) => (mapped, info),
        };
        match self.host.get_or_init(|| self.copy(&mapped.buffer, info)) {
            OnHost::Copy(frame) => {
                let stride = frame.plane_stride().get(index).copied().unwrap_or(0);
                Plane {
                    data: frame.plane_data(index as u32).unwrap_or(&[]),
                    stride: usize::try_from(stride).unwrap_or(0),
                }
            }
            OnHost::Grey(data) => Plane {
                data,
                stride: 2 * self.size.width.div_ceil(2) as usize,
            },
        }
    }

    fn on_card(&self) -> Option<&(dyn std::any::Any + Send + Sync)> {
        Some(self)
    }
}
