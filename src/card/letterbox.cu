// A batch of decoded NV12 pictures, where the decoder left them, to the image tensor of the model: what
// perception/detect/preprocess.rs does on the CPU, operation by operation in single precision, so that both
// give the same bits (compiled without fused multiply-add). One launch per batch, one thread per pixel of the
// model. Needs no header, so that any NVRTC takes it (scripts/kernels); tests/fixtures/card/cuda.cpp runs it on
// a CPU, for the tests.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Two neighbouring rows of a plane, and the weight of the second.
struct RowTap {
  u32 first, second;
  float weight;
};

// One channel of the model: clamp(y * Y + u * U + v * V + offset, low, high).
struct Channel {
  float y, u, v, offset, low, high;
};

// Where a plane lies, and which of its pixels make a pixel of the model.
struct Plane {
  const u8 *data;        // its first pixel
  const u32 *columns;    // per column of the picture: the left one of two neighbours
  const float *weights;  // per column of the picture: the weight of the right one
  const RowTap *rows;    // per row of the picture
  u32 pitch;             // bytes from row to row
  u32 right;             // bytes from a pixel to its right neighbour; 0 where the plane is one pixel wide
};

// One picture of the batch, 168 bytes. The picture is the rectangle left, top, width, height of the model's input.
struct Job {
  Plane luma, chroma;
  u32 left, top, width, height;
  Channel channels[3];  // in the order of the model
};

// What is the same for all pictures. An element lies at picture * 3 * W * H + channel * channel_step
// + (y * W + x) * pixel_step.
struct Layout {
  u32 width, height, channel_step, pixel_step;
  float padding[3];  // values beside the picture, by channel
};

#ifdef __CUDACC__
__device__ __forceinline__ u16 half_bits(float value) {
  u16 bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
#endif

__device__ __forceinline__ float mix(float first, float second, float weight) {
  return first + (second - first) * weight;
}

// Vertically first, then horizontally; `byte` chooses between interleaved planes.
__device__ __forceinline__ float sample(const Plane &plane, u32 x, u32 y, u32 pixel, u32 byte) {
  const RowTap row = plane.rows[y];
  const u64 column = (u64)plane.columns[x] * pixel + byte;
  const u8 *upper = plane.data + (u64)row.first * plane.pitch + column;
  const u8 *lower = plane.data + (u64)row.second * plane.pitch + column;
  const float left = mix((float)upper[0], (float)lower[0], row.weight);
  const float right = mix((float)upper[plane.right], (float)lower[plane.right], row.weight);
  return mix(left, right, plane.weights[x]);
}

__device__ __forceinline__ float cut(float value, float low, float high) {
  const float above = value > low ? value : low;
  return above < high ? above : high;
}

// The three values of pixel (x, y) of a picture.
__device__ __forceinline__ void pixel_of(const Job &job, const Layout &layout, u32 x, u32 y, float out[3]) {
  const u32 column = x - job.left, row = y - job.top;  // wraps to something large left of and above the picture
  if (column >= job.width || row >= job.height) {
    out[0] = layout.padding[0], out[1] = layout.padding[1], out[2] = layout.padding[2];
    return;
  }
  const float luma = sample(job.luma, column, row, 1, 0);
  const float u = sample(job.chroma, column, row, 2, 0);
  const float v = sample(job.chroma, column, row, 2, 1);
  for (int channel = 0; channel < 3; channel++) {
    const Channel c = job.channels[channel];
    out[channel] = cut(c.y * luma + c.u * u + c.v * v + c.offset, c.low, c.high);
  }
}

__device__ __forceinline__ void store(float *out, float value) { *out = value; }

// 2^23 added to a small number leaves its nearest integer in the lowest bits.
__device__ __forceinline__ void store(u8 *out, float value) {
  *out = (u8)__float_as_uint(cut(value, 0.0f, 255.0f) + 8388608.0f);
}

__device__ __forceinline__ void store(u16 *out, float value) { *out = half_bits(value); }

template <typename Element>
__device__ __forceinline__ void letterbox(const Job *jobs, Element *tensor, Layout layout) {
  const u32 x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= layout.width || y >= layout.height) return;
  float values[3];
  pixel_of(jobs[blockIdx.z], layout, x, y, values);
  const u64 pixels = (u64)layout.width * layout.height;
  Element *out = tensor + blockIdx.z * 3 * pixels + (u64)(y * layout.width + x) * layout.pixel_step;
  for (int channel = 0; channel < 3; channel++) store(out + (u64)channel * layout.channel_step, values[channel]);
}

extern "C" __global__ void letterbox_f32(const Job *jobs, float *tensor, Layout layout) { letterbox(jobs, tensor, layout); }
extern "C" __global__ void letterbox_f16(const Job *jobs, u16 *tensor, Layout layout) { letterbox(jobs, tensor, layout); }
extern "C" __global__ void letterbox_u8(const Job *jobs, u8 *tensor, Layout layout) { letterbox(jobs, tensor, layout); }
