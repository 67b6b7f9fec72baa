"""letterbox.cu -> letterbox.ptx by NVRTC, and letterbox.ptx -> machine code by nvJitLink; neither needs a card."""

import ctypes
import importlib.util
import pathlib
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "src" / "card"
# The oldest card that NVRTC 11.8 knows; no fused multiply-add, so that a CPU computes the same bits.
OPTIONS = [b"--gpu-architecture=compute_52", b"--fmad=false", b"--std=c++14"]
# Turing, Ampere, Orin, Ada, Hopper, Blackwell.
CARDS = ["sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_120"]
KERNELS = [b"letterbox_f32", b"letterbox_f16", b"letterbox_u8"]
PTX = 2  # nvJitLinkInputType


def library(package: str, pattern: str) -> ctypes.CDLL:
    spec = importlib.util.find_spec(package)
    folders = list(spec.submodule_search_locations)
    found = [path for folder in folders for path in pathlib.Path(folder).glob(f"lib/{pattern}")]
    return ctypes.CDLL(str(found[0]))


def compile_to_ptx(source: bytes) -> bytes:
    nvrtc = library("nvidia.cuda_nvrtc", "libnvrtc.so.*")
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"letterbox.cu", 0, None, None) == 0
    options = (ctypes.c_char_p * len(OPTIONS))(*OPTIONS)
    failed = nvrtc.nvrtcCompileProgram(program, len(OPTIONS), options)
    if failed:
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        sys.exit(log.value.decode())
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, text)
    return text.value


def machine_code(ptx: bytes, card: str) -> bytes:
    linker = library("nvidia.nvjitlink", "libnvJitLink.so.*")
    handle, size = ctypes.c_void_p(), ctypes.c_size_t()
    options = (ctypes.c_char_p * 1)(f"-arch={card}".encode())
    # Versioned names are those of the library; 12.0's stay.
    steps = [
        linker.nvJitLinkCreate(ctypes.byref(handle), 1, options),
        linker.nvJitLinkAddData(handle, PTX, ptx, len(ptx) + 1, b"letterbox"),
        linker.nvJitLinkComplete(handle),
        linker.nvJitLinkGetLinkedCubinSize(handle, ctypes.byref(size)),
    ]
    assert not any(steps), f"{card}: {steps}"
    code = ctypes.create_string_buffer(size.value)
    assert linker.nvJitLinkGetLinkedCubin(handle, code) == 0
    linker.nvJitLinkDestroy(ctypes.byref(handle))
    return code.raw


def main() -> None:
    ptx = compile_to_ptx((FOLDER / "letterbox.cu").read_bytes())
    target = FOLDER / "letterbox.ptx"
    if "--check" not in sys.argv:
        target.write_bytes(ptx)
    elif target.read_bytes() != ptx:
        sys.exit("src/card/letterbox.ptx is not what letterbox.cu gives: run scripts/kernels")
    assert b"fma." not in ptx, "a fused multiply-add rounds once where the CPU rounds twice"
    for card in CARDS:
        code = machine_code(ptx, card)
        assert code[:4] == b"\x7fELF" and all(name in code for name in KERNELS), card
        print(f"{card}: {len(code)} bytes of machine code")


main()
