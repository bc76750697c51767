"""The few calls of CUDA's runtime library that native TensorRT needs, through ctypes.

The library is loaded when it is first asked for.
"""

import ctypes
import ctypes.util
import weakref
from functools import cache
from typing import Any

import numpy as np

from workers.runtimes.base import Array
from workers.runtimes.errors import ExecutionFailed, ProviderMissing

NAMES = ("libcudart.so.13", "libcudart.so.12", "libcudart.so")
PROPERTIES = 16_384
"""More bytes than cudaDeviceProp has in any version; its first field is the name."""
TO_DEVICE, FROM_DEVICE = 1, 2


@cache
def library() -> ctypes.CDLL:
    """Return CUDA's runtime library. Raises ProviderMissing."""
    for name in (*NAMES, ctypes.util.find_library("cudart") or ""):
        try:
            return ctypes.CDLL(name or "cudart")
        except OSError:
            continue
    raise ProviderMissing(f"CUDA's runtime library is not here; looked for {', '.join(NAMES)}")


def devices() -> int:
    """Return how many GPUs there are; 0 without a driver or the library."""
    count = ctypes.c_int()
    try:
        return 0 if library().cudaGetDeviceCount(ctypes.byref(count)) else count.value
    except ProviderMissing:
        return 0


def gpu(device: int = 0) -> str:
    """Return a GPU's name and compute capability. Raises ExecutionFailed."""
    properties = ctypes.create_string_buffer(PROPERTIES)
    which = "cudaGetDeviceProperties"
    _call(f"{which}_v2" if hasattr(library(), f"{which}_v2") else which, properties, device)
    major, minor = ctypes.c_int(), ctypes.c_int()
    for value, attribute in ((major, 75), (minor, 76)):  # cudaDevAttrComputeCapabilityMajor, Minor
        _call("cudaDeviceGetAttribute", ctypes.byref(value), attribute, device)
    return f"{properties.value.decode()} {major.value}.{minor.value}"


class Stream:
    """A stream of work on the GPU, which ends with the last reference to it."""

    def __init__(self) -> None:
        handle = ctypes.c_void_p()
        _call("cudaStreamCreateWithFlags", ctypes.byref(handle), 1)  # cudaStreamNonBlocking
        self.handle = int(handle.value or 0)
        weakref.finalize(self, library().cudaStreamDestroy, ctypes.c_void_p(self.handle))

    def wait(self) -> None:
        """Return when everything on it is done. Raises ExecutionFailed."""
        _call("cudaStreamSynchronize", ctypes.c_void_p(self.handle))


class Buffer:
    """As many bytes on the GPU and, pinned, in memory: they are copied between without a detour."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.device = _allocated("cudaMalloc", "cudaFree", self, size)
        self._host = _allocated("cudaMallocHost", "cudaFreeHost", self, size)
        self._bytes = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self._host))

    def send(self, array: Array, stream: Stream) -> None:
        """Begin to copy an array to the GPU."""
        self._bytes[: array.nbytes] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        self._copy(self.device, self._host, array.nbytes, TO_DEVICE, stream)

    def fetch(self, size: int, stream: Stream) -> None:
        """Begin to copy `size` bytes from the GPU."""
        self._copy(self._host, self.device, size, FROM_DEVICE, stream)

    def array(self, dtype: "np.dtype[Any]", shape: tuple[int, ...]) -> Array:
        """Return what was fetched, once the stream was waited for, as an array of its own."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        return self._bytes[:size].view(dtype).reshape(shape).copy()

    def _copy(self, to: int, of: int, size: int, way: int, stream: Stream) -> None:
        places = ctypes.c_void_p(to), ctypes.c_void_p(of)
        handle = ctypes.c_void_p(stream.handle)
        _call("cudaMemcpyAsync", *places, ctypes.c_size_t(size), way, handle)


def _allocated(take: str, give: str, owner: object, size: int) -> int:
    pointer = ctypes.c_void_p()
    _call(take, ctypes.byref(pointer), ctypes.c_size_t(size))
    weakref.finalize(owner, getattr(library(), give), pointer)
    return int(pointer.value or 0)


def _call(name: str, *arguments: Any) -> None:
    code = getattr(library(), name)(*arguments)
    if code:
        text = library().cudaGetErrorString
        text.restype = ctypes.c_char_p
        raise ExecutionFailed(f"{name}: {text(code).decode()}")
