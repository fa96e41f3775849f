/// The C library, for every target that imports this one. Linux with glibc is supported, on x86-64 and arm64.
@_exported import Glibc
