"""What this processor can multiply without emulation, as the kernel lists it."""

from pathlib import Path


def _flags() -> set[str]:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return set()


FLAGS = _flags()

# bf16 products in vectors or tiles; the last name is that of arm64.
HAS_BF16 = bool(FLAGS & {"avx512_bf16", "amx_bf16", "bf16"})

# Sums of four products of bytes in one instruction. Without it, x86-64 adds pairs in 16 bits, which can overflow.
HAS_BYTE_PRODUCTS = bool(FLAGS & {"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})


def name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "this processor"
