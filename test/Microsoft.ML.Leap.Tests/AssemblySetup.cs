// Tests count live native tensors and compare torch's global state, which is one per process.
[assembly: DoNotParallelize]
